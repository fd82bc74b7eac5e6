"""The rules' clock never goes back, and finds the minutes at which periods begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.clock import TrustedTime
from resources.times.rules_clock import RulesClock
from tests.resources.times.world import World


def test_a_clock_that_was_set_back_counts_on() -> None:
    world = World("2026-11-26 18:00")
    world.clock.note()
    world.advance(60)
    world.ahead = -86400.0
    assert world.clock.now() == world.true
    world.restart(off=0.0)
    world.ahead = -86400.0
    world.advance(60)
    assert world.clock.now() == world.true


def test_a_start_in_1970_counts_from_what_was_seen() -> None:
    world = World("2026-11-26 18:00")
    world.restart(off=3600.0, knows=False)
    world.advance(100)
    assert world.clock.now() == world.true - 3600
    assert not world.clock.sure
    assert world.clock.dated
    world.sync()
    assert world.clock.now() == world.true
    assert world.clock.sure


def test_a_machine_that_never_knew_the_time_says_so() -> None:
    world = World()
    world.stored = None
    world.start(knows=False)
    assert not world.clock.dated
    world.restart(knows=False)
    assert not world.clock.dated
    world.sync()
    world.restart(knows=False)
    assert world.clock.dated


def test_what_the_cloud_told_an_earlier_run_is_a_time_of_day_also_without_the_rules_own_record(
    tmp_path: Path,
) -> None:
    """played.json may be lost: the agent's own record of the time counts on."""
    world, path = World("2026-11-26 18:00"), tmp_path / "time.json"
    told = TrustedTime(path, wall=lambda: 0.0, ticks=lambda: world.ticks, boot="1")
    told.note_cloud(world.true)
    again = TrustedTime(path, wall=lambda: 0.0, ticks=lambda: 60.0, boot="2")
    clock = RulesClock(again, lambda: 60.0, "2", world.local, lambda: False)
    assert (clock.sure, clock.dated) == (False, True)
    assert clock.now() == world.true + 60.0  # at least: it was off for a while


def test_a_clock_that_may_be_behind_has_a_time_of_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """No battery and no time service: it is at least as late as the clock says."""
    monkeypatch.setattr(World, "knows", lambda _world: False)
    world = World("2026-11-26 21:00")
    world.order("quiet 20:30-06:30")
    assert (world.clock.sure, world.clock.dated) == (False, True)
    assert world.rules.refusal() == "rules: quiet hours until 06:30"


def test_only_the_cloud_corrects_a_clock_that_was_ahead() -> None:
    world = World("2026-11-26 18:00")
    world.ahead = 30 * 86400.0
    world.clock.note()
    world.ahead = 0.0
    assert world.clock.now() == world.true + 30 * 86400
    world.sync()
    assert world.clock.now() == world.true


@pytest.mark.parametrize(
    ("now", "wanted", "seconds"),
    [
        ("2026-11-26 18:00:30", (18, 0), 0.0),
        ("2026-11-26 18:00:30", (18, 1), 30.0),
        ("2026-11-26 18:00:30.25", (20, 30), 8969.75),
        ("2026-11-26 18:00", (17, 59), 23 * 3600 + 59 * 60.0),
        ("2027-03-28 01:30", (3, 0), 1800.0),  # summer time begins: 02:00 is 03:00
        ("2027-10-31 01:30", (3, 0), 9000.0),  # and ends: 02:00 comes twice
    ],
)
def test_the_next_time_of_day(now: str, wanted: tuple[int, int], seconds: float) -> None:
    world = World(now)
    found = world.clock.first(lambda m: (m.hour, m.minute) == wanted, within=90000.0)
    assert found == seconds


def test_a_time_of_day_that_the_change_leaves_out_is_not_found() -> None:
    world = World("2027-03-28 01:30")
    assert world.clock.first(lambda m: (m.hour, m.minute) == (2, 30), within=3600.0) is None
    assert world.clock.first(lambda m: m.hour == 5, within=9000.0, after=8000.0) == 9000.0


@pytest.mark.parametrize(
    ("now", "minute", "seconds"),
    [
        ("2026-11-26 18:00:00", 20 * 60 + 30, 9000.0),
        ("2026-11-26 20:30:10", 20 * 60 + 30, 86390.0),  # that of today has begun
        ("2026-11-26 23:59:59", 0, 1.0),
        ("2027-10-30 23:00:00", 6 * 60, 8 * 3600.0),  # that night has an hour more
        ("2027-03-27 23:00:00", 6 * 60, 6 * 3600.0),
        ("2027-03-28 01:30:00", 2 * 60 + 30, 1800.0),  # left out: 02:00 is 03:00
        ("2027-03-28 01:30:00", 2 * 60, 1800.0),
        ("2027-03-28 01:30:00", 3 * 60, 1800.0),
        ("2027-03-28 01:30:00", 3 * 60 + 1, 1860.0),
        ("2027-03-28 01:59:59", 2 * 60 + 59, 1.0),
        ("2027-10-31 02:10:00", 2 * 60 + 30, 1200.0),  # the first of two
    ],
)
def test_the_next_minute_of_a_local_day(now: str, minute: int, seconds: float) -> None:
    assert World(now).clock.until_minute(minute) == seconds


@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        ("Europe/Berlin", ("2027-03-28", "2027-10-31")),
        ("America/New_York", ("2027-03-14", "2027-11-07")),
        ("Australia/Lord_Howe", ("2027-04-04", "2027-10-03")),  # half an hour
        ("Africa/Casablanca", ("2027-02-07", "2027-03-14")),  # backwards for Ramadan
        ("America/Santiago", ("2027-04-03", "2027-09-05")),  # at midnight
        ("Asia/Shanghai", ("2027-07-01",)),  # never
    ],
)
@pytest.mark.parametrize("minute", [0, 30, 90, 120, 135, 150, 179, 180])
def test_each_minute_of_the_day_comes_once_within_a_day_of_every_change(
    zone: str, changes: tuple[str, ...], minute: int
) -> None:
    """The answer is where the clock, looked at second by second, shows the minute or has leapt over it."""
    for day in changes:
        for begin in ("00:10", "01:45", "23:20"):
            world = World(f"{day} {begin}", zone)
            left = world.clock.until_minute(minute)
            assert left is not None
            shown = [world.local(world.true + left + step) for step in (-1, 0)]
            before, now = (moment.hour * 60 + moment.minute for moment in shown)
            leapt = (now - before) % 1440 > 1 and (minute - before) % 1440 < (
                now - before
            ) % 1440 < 720
            assert now == minute or leapt


def test_no_minute_of_the_day_is_known_without_the_time() -> None:
    world = World()
    world.restart(knows=False)
    assert world.clock.until_minute(20 * 60) is None
