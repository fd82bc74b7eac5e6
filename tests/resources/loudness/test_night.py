"""The night's limit, by local time."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.loudness.night import Night, parse_night, show_night
from wire.errors import FieldError

NIGHT = Night(21 * 60, 6 * 60 + 30, 5)


@pytest.mark.parametrize(
    ("text", "night"),
    [
        ("21:00-06:30 max=5", NIGHT), (" 13:00-14:30  max=0 ", Night(780, 870, 0)), ("off", None), ("OFF", None),
        ("20:00-24:00 max=4", Night(1200, 0, 4)),
        ("0:00-23:59 max=16", Night(0, 1439, 16)),
    ],
)  # fmt: skip
def test_what_a_night_is(text: str, night: Night | None) -> None:
    assert parse_night(text) == night
    assert parse_night(show_night(night)) == night


@pytest.mark.parametrize(
    "text",
    [
        "", "on", "21:00-06:30", "max=5", "21:00-21:00 max=5", "24:01-06:00 max=5", "00:00-24:00 max=5",
        "21:60-06:00 max=5", "21:00-06:30 max=17", "9-10 max=5", "21:00\u201306:30 max=5",
        "21:00-06:30 max=5 off",
    ],
)  # fmt: skip
def test_what_is_no_night_is_refused_by_name(text: str) -> None:
    with pytest.raises(FieldError, match=r"night: got .*, expected \"HH:MM-HH:MM max="):
        parse_night(text)


@pytest.mark.parametrize(
    ("clock", "holds"),
    [("20:59", False), ("21:00", True), ("23:59", True), ("00:00", True), ("06:29", True),
     ("06:30", False), ("12:00", False)],
)  # fmt: skip
def test_it_begins_and_ends_by_the_clock_on_the_wall(clock: str, holds: bool) -> None:  # noqa: FBT001  # a table
    local = datetime.fromisoformat(f"2026-11-26T{clock}")
    assert NIGHT.holds(local) is holds


def test_an_afternoon_nap_is_a_night_too() -> None:
    nap = Night(13 * 60, 14 * 60, 3)
    assert nap.holds(datetime(2026, 11, 26, 13, 59))
    assert not nap.holds(datetime(2026, 11, 26, 14, 0))


def test_an_unknown_time_counts_as_night() -> None:
    assert NIGHT.holds(None)


@given(st.integers(0, 86399), st.integers(0, 1439), st.integers(0, 1439))
def test_nothing_changes_before_the_edge_and_the_edge_is_one(
    second: int, begins: int, ends: int
) -> None:
    if begins == ends:
        return
    night = Night(begins, ends, 5)
    now = datetime(2026, 11, 26) + timedelta(seconds=second)
    wait = night.seconds_to_edge(now)
    assert 0 < wait <= 86400
    assert night.holds(now + timedelta(seconds=wait - 0.5)) is night.holds(now)
    assert night.holds(now + timedelta(seconds=wait)) is not night.holds(now)


def test_the_hour_that_comes_twice_is_judged_twice_in_the_same_way() -> None:
    zone = ZoneInfo("Europe/Berlin")
    night = Night(20 * 60, 2 * 60 + 30, 5)
    start = datetime(2026, 10, 25, 0, 45, tzinfo=ZoneInfo("UTC")).timestamp()
    clocks = [datetime.fromtimestamp(start + minute * 60, zone) for minute in range(0, 120, 15)]
    assert [f"{clock:%H:%M}" for clock in clocks][:4] == ["02:45", "02:00", "02:15", "02:30"]
    assert [night.holds(clock) for clock in clocks][:4] == [False, True, True, False]
