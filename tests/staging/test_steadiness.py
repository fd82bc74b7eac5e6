"""Whether a clock may be believed: tables of starts, steps and days, on clocks of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.steadiness import DAY_MS, Steadiness

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
OFF_MS = 5_184_000_000
STEP_MS = 3_600_000

NOW = 1_790_000_000_000
NINE_YEARS = 9 * 365 * DAY_MS
DAY = DAY_MS / 1000


@pytest.mark.parametrize(
    ("noted", "believed"),
    [
        (NOW, True),
        (NOW - DAY_MS, True),
        (NOW - OFF_MS, True),
        (NOW - OFF_MS - 1, False),
        (NOW - NINE_YEARS, False),
        (NOW + STEP_MS, True),
        (NOW + STEP_MS + 1, False),
        (NOW + NINE_YEARS, False),
        (None, False),
    ],
)
def test_a_start(*, noted: int | None, believed: bool) -> None:
    clock = Steadiness(noted, NOW, 5.0)
    assert clock.believed is believed
    assert clock.note(NOW + DAY_MS, 5.0 + DAY) is False
    assert clock.believed


def test_a_step_takes_a_day_of_belief() -> None:
    clock = Steadiness(NOW, NOW, 0.0)
    assert clock.note(NOW + NINE_YEARS, 60.0)
    assert not clock.believed
    assert clock.note(NOW + 120_000, 120.0)
    assert not clock.note(NOW + DAY_MS, DAY)
    assert not clock.believed  # a minute short of a day since the second step
    clock.note(NOW + DAY_MS + 120_000, DAY + 120.0)
    assert clock.believed


@given(st.lists(st.tuples(st.floats(0, 3600), st.integers(-STEP_MS, STEP_MS)), max_size=50))
def test_corrections_are_no_steps(readings: list[tuple[float, int]]) -> None:
    clock = Steadiness(NOW, NOW, 0.0)
    wall, monotonic = NOW, 0.0
    for passed, correction in readings:
        monotonic += passed
        wall += int(passed * 1000) + int(correction * 0.99)
        assert not clock.note(wall, monotonic)
    assert clock.believed
