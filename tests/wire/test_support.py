"""The day of the support's end, as settings and reports write it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, strategies

from wire.errors import FieldError
from wire.support import SUPPORT_END, parse_day


def test_a_day_is_read_and_the_tree_names_one() -> None:
    assert parse_day(SUPPORT_END, "d") == SUPPORT_END > "2026-11-26"


@given(strategies.dates())
def test_the_days_are_the_calendars(day: date) -> None:
    assert parse_day(day.isoformat(), "d") == day.isoformat()


@given(strategies.integers(1, 9999), strategies.integers(1, 12), strategies.integers(28, 32))
def test_a_day_that_the_month_has_not_is_refused(year: int, month: int, day: int) -> None:
    text = f"{year:04}-{month:02}-{day:02}"
    try:
        date.fromisoformat(text)
    except ValueError:
        with pytest.raises(FieldError):
            parse_day(text, "d")
    else:
        assert parse_day(text, "d") == text


@pytest.mark.parametrize(
    "value", ["", "2031", "2031-12", "20311231", "2031-13-01", "2031-02-29", "31.12.2031", " 031-12-31", "2031-W01-1", "0000-01-01", 2031, None]
)  # fmt: skip
def test_what_is_no_day_is_refused_with_field_and_form(value: object) -> None:
    with pytest.raises(FieldError, match=r"^d: got .*expected a day such as 2031-12-31"):
        parse_day(value, "d")
