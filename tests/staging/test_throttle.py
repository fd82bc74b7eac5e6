"""The limit on password guessing: by name, by address, in a time window, with bounded memory."""

from __future__ import annotations

from staging.throttle import (
    FAILURE_WINDOW_SECONDS,
    FAILURES_PER_ADDRESS,
    FAILURES_PER_NAME,
    KEYS_LIMIT,
    Throttle,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_name_waits_for_the_window_and_success_resets_it() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(FAILURES_PER_NAME):
        assert throttle.wait_seconds("Tester", "a") == 0
        throttle.failed("Tester", "a")
    assert throttle.wait_seconds("\uff34ester", "b") == FAILURE_WINDOW_SECONDS
    assert throttle.wait_seconds("other", "a") == 0
    clock.now = FAILURE_WINDOW_SECONDS
    assert throttle.wait_seconds("tester", "a") == 0
    throttle.failed("tester", "a")
    throttle.succeeded("tester")
    assert throttle.wait_seconds("tester", "a") == 0


def test_an_address_waits_whatever_names_it_tries() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for number in range(FAILURES_PER_ADDRESS):
        assert throttle.wait_seconds("new", "a") == 0
        throttle.failed(f"name-{number}", "a")
        clock.now += 1
    assert throttle.wait_seconds("new", "a") == FAILURE_WINDOW_SECONDS - FAILURES_PER_ADDRESS
    throttle.succeeded("new")
    assert throttle.wait_seconds("new", "a") > 0
    assert throttle.wait_seconds("new", "b") == 0


def test_the_oldest_names_are_forgotten_beyond_the_limit() -> None:
    throttle = Throttle(Clock())
    for _ in range(FAILURES_PER_NAME):
        throttle.failed("first", "a")
    assert throttle.wait_seconds("first", "b") > 0
    for number in range(KEYS_LIMIT):
        throttle.failed(f"name-{number}", f"address-{number}")
    assert throttle.wait_seconds("first", "b") == 0
