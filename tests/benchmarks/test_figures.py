"""The figures of benchmarks: what their rows say of an aim."""

from __future__ import annotations

import pytest

from benchmarks.figures import Aim, Spread, figure

TWENTY = [float(n) for n in range(1, 21)]


def test_a_spread_of_twenty_leaves_one_above_what_it_calls_late() -> None:
    spread = Spread.of(TWENTY[::-1])
    assert (spread.minimum, spread.median, spread.late, spread.maximum) == (1, 10.5, 19, 20)


def test_one_value_is_its_own_spread() -> None:
    assert Spread.of([2.0]) == Spread(2.0, 2.0, 2.0, 2.0, 1)


@pytest.mark.parametrize(
    ("aim", "words"),
    [
        (Aim("late", "<", 19.5), ["p95 < 19.5 s", "met: 19 s"]),
        (Aim("late", "<", 19), ["p95 < 19 s", "NOT MET: 19 s"]),
        (Aim("ours", "<", 11), ["< 11 s", "met"]),
        (Aim("ratio", "≥", 3), ["≥ 3x", "NOT MET"]),
        (None, ["", ""]),
    ],
)
def test_a_row_says_whether_its_aim_is_met(aim: Aim | None, words: list[str]) -> None:
    row = figure("delay", "s", TWENTY, "beside", [value / 2 for value in TWENTY], aim)
    assert row.cells()[-2:] == words
