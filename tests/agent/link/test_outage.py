"""Which causes of an outage are logged, on a virtual clock."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.link.outage import DAY_SECONDS, OutageLog

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
DAY_LIMIT = 16

MINUTE = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(causes: list[str], seconds: float = MINUTE, days: int = 90) -> int:
    """Return how many lines ``days`` of these causes in turn take, one each ``seconds``."""
    clock, count = Clock(), 0
    log = OutageLog(clock)
    for cause in itertools.islice(itertools.cycle(causes), int(days * DAY_SECONDS / seconds)):
        count += log.is_news(cause)
        clock.now += seconds
    return count


@pytest.mark.parametrize(
    ("causes", "at_most"),
    [(["refused"], 90), (["refused", "no answer"], 180), (["refused", "no answer", "no name"], 270),
     ([f"refused at {n}" for n in range(9000)], 90 * DAY_LIMIT)],
)  # fmt: skip
def test_ninety_days_of_an_outage_are_few_lines(causes: list[str], at_most: int) -> None:
    assert at_most - 90 <= lines(causes, 10 * MINUTE) <= at_most


def test_the_next_outage_tells_its_cause_again() -> None:
    log = OutageLog(Clock())
    assert [log.is_news("refused"), log.is_news("refused")] == [True, False]
    log.over()
    assert log.is_news("refused")


@given(st.lists(st.tuples(st.text(max_size=2), st.floats(0, 20_000)), max_size=60))
def test_no_day_has_more_lines_than_the_limit(steps: list[tuple[str, float]]) -> None:
    clock, told = Clock(), []
    log = OutageLog(clock)
    for cause, seconds in steps:
        if log.is_news(cause):
            told.append((clock.now, cause))
        clock.now += seconds
    for at, cause in told:
        within = [other for then, other in told if at <= then < at + DAY_SECONDS]
        assert len(within) <= DAY_LIMIT
        assert within.count(cause) == 1
