"""What a fleet tells: counts, percentiles, and errors that cannot fill memory."""

from __future__ import annotations

import pytest

from staging.fleet.figures import Figures, percentiles


def test_percentiles() -> None:
    assert percentiles([float(n) for n in range(1, 101)]) == {
        "p50": 50.5,
        "p99": 99.01,
        "max": 100.0,
    }
    assert percentiles([1.0]) == {}


def test_a_run_without_anything_is_told_without_a_division_by_zero() -> None:
    assert Figures(10, "mqtt").to_json()["connectPerSecond"] == 0
    assert Figures(10, "mqtt").lines()[0].startswith("0 of 10 devices connected over mqtt")


def test_errors_are_counted_by_their_words_up_to_a_limit() -> None:
    figures = Figures(1, "coap")
    for number in range(100):
        figures.note_error(OSError(f"{number}"))
        figures.note_error(OSError("0"))
    assert len(figures.errors) == 20
    assert figures.errors["OSError: 0"] == 101


@pytest.mark.parametrize("lost", [0, 3])
def test_losses_are_told(lost: int) -> None:
    figures = Figures(1, "coap", reports_lost=lost)
    assert any(f"reports: {lost} lost" in line for line in figures.lines())
