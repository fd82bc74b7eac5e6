"""The back-off: its waits, its jitter, its maximum."""

from __future__ import annotations

import random

import pytest

from base.backoff import Backoff

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
FIRST_SECONDS = 0.5


class NoChance(random.Random):
    """Returns the given number each time."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self._value = value

    def random(self) -> float:
        return self._value


def test_the_back_off_doubles_to_its_maximum_and_begins_anew() -> None:
    backoff = Backoff(60.0, NoChance(0.0))
    assert [backoff.next() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    assert backoff.next() == FIRST_SECONDS


def test_no_wait_is_over_the_maximum_not_even_the_first() -> None:
    assert Backoff(0.1, NoChance(0.0)).next() == 0.1


def test_jitter_takes_away_up_to_half() -> None:
    assert Backoff(60.0, NoChance(0.999999)).next() == pytest.approx(0.25, rel=1e-3)
    backoff = Backoff(8.0, random.Random(1))
    for _ in range(10):
        backoff.next()
    waits = [backoff.next() for _ in range(1000)]
    assert all(4.0 <= wait <= 8.0 for wait in waits)
    assert max(waits) - min(waits) > 3.5


def test_a_year_of_waiting_does_not_overflow() -> None:
    backoff = Backoff(60.0, NoChance(0.0))
    assert {backoff.next() for _ in range(600_000)} == {0.5, 1, 2, 4, 8, 16, 32, 60}


def test_the_first_wait_and_the_jitter_can_be_set() -> None:
    backoff = Backoff(15.0, NoChance(0.999999), first=1.0, jitter=0.0)
    assert [backoff.next() for _ in range(6)] == [1, 2, 4, 8, 15, 15]
    backoff.reset()
    assert backoff.next() == 1.0
