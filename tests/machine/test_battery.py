"""Percents and voltages: what is believed of a gauge."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.battery import LITHIUM, MAINS, NoBattery, believable, parse_curve, percent_of
from wire.errors import FieldError


@pytest.mark.parametrize(
    ("told", "believed"),
    [
        (0, 0), (0.4, 0), (49.6, 50), (100, 100), (103.2, 100), (120, 100),
        (121, None), (255, None), (65535, None), (-1, None), (math.nan, None), (math.inf, None),
    ],
)  # fmt: skip
def test_a_percent(told: float, believed: int | None) -> None:
    assert believable(told) == believed


@pytest.mark.parametrize(
    ("volts", "percent"),
    [
        (2.9, 0), (3.0, 0), (3.77, 40), (3.78, 45), (4.15, 100), (4.3, 100),
        (0.0, None), (1.9, None), (5.1, None), (-3.7, None), (math.nan, None), (math.inf, None),
    ],
)  # fmt: skip
def test_a_cells_voltage(volts: float, percent: int | None) -> None:
    assert percent_of(volts) == percent


@given(st.floats(2.0, 5.0), st.floats(2.0, 5.0))
def test_more_voltage_is_never_less_charge(one: float, other: float) -> None:
    low, high = sorted([one, other])
    assert 0 <= (percent_of(low) or 0) <= (percent_of(high) or 0) <= 100


def test_the_built_in_curve_rises() -> None:
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(LITHIUM))


def test_a_makers_curve() -> None:
    curve = parse_curve(" 3.0:0  3.6:50 4.2:100 ", "battery.curve")
    assert percent_of(3.3, curve) == 25
    assert percent_of(3.9, curve) == 75


@pytest.mark.parametrize(
    "text",
    ["3.0:0", "3.0:0 3.0:100", "3.0:0 4.2:0", "4.2:100 3.0:0", "3.0:0 4.2:101", "1.0:0 4.2:100", "3.0:-1 4.2:9",
     "3.0 4.2:100", "3.0:0:1 4.2:100", "3.0:a 4.2:100", "nan:0 4.2:100", "3.0:0 4.2:nan", ":", ","],
)  # fmt: skip
def test_a_curve_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(
        FieldError, match=r"^battery\.curve: got .*, expected two or more volts:percent"
    ):
        parse_curve(text, "battery.curve")


def test_without_a_battery_it_is_mains() -> None:
    assert NoBattery().read() == MAINS
    assert "mains" in NoBattery.name
