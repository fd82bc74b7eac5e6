"""Free tries, waits that double and have an end, and what is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from staging.tries import Allowance, Tries
from tests.staging.test_throttle import Clock

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KEYS_LIMIT = 10_000

FEW = Allowance(free=3, first=10.0, longest=60.0, forget=1000.0)


def test_free_tries_then_waits_that_double_up_to_the_longest() -> None:
    clock = Clock()
    tries = Tries(FEW, clock)
    waits = []
    for _ in range(8):
        waits.append(tries.wait("a"))
        clock.now += tries.wait("a")
        tries.count("a")
    assert waits == [0, 0, 0, 10, 20, 40, 60, 60]
    assert tries.wait("a", 5.0) == 5.0
    assert tries.wait("b") == 0


def test_a_good_try_is_taken_back_and_an_hour_without_any_forgets_all() -> None:
    clock = Clock()
    tries = Tries(FEW, clock)
    for _ in range(3):
        tries.count("a")
    assert tries.wait("a") == 10
    tries.refund("a")
    assert tries.wait("a") == 0
    tries.count("a")
    tries.count("a")
    clock.now += FEW.forget
    assert tries.wait("a") == 0
    tries.count("a")
    tries.forget("a")
    tries.refund("a")
    assert tries.wait("a") == 0


def test_a_good_try_makes_nobody_else_wait_anew() -> None:
    clock = Clock()
    tries = Tries(FEW, clock)
    for _ in range(4):
        tries.count("a")
    clock.now += 20
    assert tries.wait("a") == 0
    tries.count("a")
    tries.refund("a")
    assert tries.wait("a") == 0
    tries.count("a")
    assert tries.wait("a") == 40


def test_without_a_word_on_it_an_hour_without_a_try_forgets_all() -> None:
    clock = Clock()
    tries = Tries(Allowance(free=1, first=10_000.0, longest=10_000.0), clock)
    tries.count("a")
    clock.now += 3599
    assert tries.wait("a") == 6401
    clock.now += 1
    assert tries.wait("a") == 0


def test_the_key_that_tried_longest_ago_is_forgotten_beyond_the_limit() -> None:
    tries = Tries(FEW, Clock())
    for _ in range(4):
        tries.count("first")
    for number in range(KEYS_LIMIT):
        tries.count(str(number))
    assert tries.wait("first") == 0


@given(st.lists(st.floats(0, 200), max_size=60))
def test_no_wait_is_longer_than_the_longest_and_no_more_tries_are_made_than_it_allows(
    pauses: list[float],
) -> None:
    clock = Clock()
    tries = Tries(FEW, clock)
    made = 0
    for pause in pauses:
        clock.now += pause
        assert 0 <= tries.wait("a") <= FEW.longest
        if tries.wait("a") == 0:
            tries.count("a")
            made += 1
    assert made <= FEW.free + 1 + clock.now / FEW.first
