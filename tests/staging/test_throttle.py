"""The limit on password guessing: by account and address, by address, by account, and never at a known address."""

from __future__ import annotations

import pytest

from staging.throttle import ADDRESS, NAME, PAIR, Throttle

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KNOWN_LONGEST = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def fail(throttle: Throttle, name: str, address: str, *, known: bool = False) -> float:
    return throttle.begin(name, address, known=known)


def test_a_try_counts_before_its_password_is_checked() -> None:
    throttle = Throttle(Clock())
    begun = [fail(throttle, "tester", "10.0.0.1") for _ in range(80)]
    assert begun.count(0) == PAIR.free


@pytest.mark.parametrize("name", ["Tester", "\uff34ester", " tester "])
def test_one_account_however_it_is_spelt(name: str) -> None:
    throttle = Throttle(Clock())
    for _ in range(PAIR.free):
        fail(throttle, "tester", "10.0.0.1")
    assert fail(throttle, name, "10.0.0.1") == PAIR.first
    assert fail(throttle, "another", "10.0.0.1") == 0
    assert fail(throttle, "tester", "10.0.0.2") == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff:1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::2"),
    ],
)
def test_one_address_however_it_is_written(one: str, other: str) -> None:
    throttle = Throttle(Clock())
    for _ in range(PAIR.free):
        fail(throttle, "tester", one)
    assert fail(throttle, "tester", other) > 0


def test_an_address_waits_whatever_accounts_it_tries() -> None:
    throttle = Throttle(Clock())
    begun = [fail(throttle, f"name-{number}", "10.0.0.1") for number in range(100)]
    assert begun.count(0) == ADDRESS.free
    assert fail(throttle, "name-1", "10.0.0.2") == 0


def test_an_account_waits_from_wherever_it_is_tried() -> None:
    throttle = Throttle(Clock())
    begun = [fail(throttle, "tester", f"10.0.1.{number}") for number in range(100)]
    assert begun.count(0) == NAME.free


def test_nobody_elsewhere_locks_out_the_owner_at_a_known_address() -> None:
    throttle = Throttle(Clock())
    for number in range(100):
        fail(throttle, "owner", f"10.0.1.{number}")
        fail(throttle, f"name-{number}", "10.0.0.1")
    assert fail(throttle, "owner", "10.0.0.1") > 0
    assert fail(throttle, "owner", "10.0.0.1", known=True) == 0


def test_who_guesses_beside_the_owner_makes_the_owner_wait_for_a_minute_at_most() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(200):
        clock.now += fail(throttle, "owner", "10.0.0.1", known=True)
        fail(throttle, "owner", "10.0.0.1", known=True)
    assert 0 < fail(throttle, "owner", "10.0.0.1", known=True) <= KNOWN_LONGEST


def test_right_passwords_do_not_use_anything_up() -> None:
    throttle = Throttle(Clock())
    for number in range(500):
        assert fail(throttle, f"pupil-{number % 7}", "10.0.0.1") == 0
        throttle.succeeded(f"pupil-{number % 7}", "10.0.0.1", known=False)


def test_who_logs_in_elsewhere_does_not_make_another_of_the_family_wait_again() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for number in range(NAME.free):
        fail(throttle, "family", f"10.0.1.{number}")
    clock.now += fail(throttle, "family", "10.0.2.1")
    assert fail(throttle, "family", "10.0.2.2") == 0
    throttle.succeeded("family", "10.0.2.2", known=False)
    assert fail(throttle, "family", "10.0.2.1") == 0


def test_a_long_name_is_no_long_key() -> None:
    throttle = Throttle(Clock())
    for number in range(PAIR.free):
        fail(throttle, "x" * 64 + str(number), "10.0.0.1")
    assert fail(throttle, "x" * 5000, "10.0.0.1") > 0
