"""The minutes of a day: over midnight, through starts without the time, and through leaps of the clock."""

from __future__ import annotations

import pytest

from tests.resources.times.world import World

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
RECENT_MAX = 1_500


def test_midnight_begins_a_new_day() -> None:
    world = World("2026-11-26 23:50")
    world.play(599)
    assert world.used == pytest.approx(10, abs=0.1)
    world.play(61)
    assert world.used == 1.0


def test_a_battery_pull_is_no_way_around() -> None:
    world = World("2026-11-26 18:00")
    for knows in (True, False, False, True):
        world.play(600)
        world.restart(knows=knows)
    assert world.used == 40.0


def test_a_clock_set_back_gives_no_second_day() -> None:
    world = World("2026-11-26 23:00")
    world.play(1200)
    world.advance(7200)
    assert world.used == 0.0
    world.play(1800)
    world.store()
    world.ahead = -86400.0
    assert world.used == 30.0
    world.restart()
    world.ahead = -86400.0
    world.play(60)
    world.ahead = 0.0
    assert world.used == 31.0


def test_what_was_played_before_the_clock_was_set_is_of_its_real_date() -> None:
    """Started in 1970 at 23:30 real time, told the time an hour later: half of it was today."""
    world = World("2026-11-24 12:00")
    world.play(3000)
    world.store()
    world.true = world.at("2026-11-26 23:30")
    world.start(knows=False)
    world.play(600)
    world.advance(1800)
    world.play(600)
    assert world.used == 70.0
    world.advance(600)
    world.sync()
    assert world.used == 10.0


def test_minutes_of_starts_without_the_time_are_counted_when_it_is_known() -> None:
    world = World("2026-11-26 15:00")
    world.play(600)
    world.store()
    world.true = world.at("2026-11-27 15:00")
    for _ in range(3):
        world.start(knows=False)
        world.play(600)
        world.store()
    world.start()
    assert world.used == 30.0
    world.advance(86400)
    assert world.used == 0.0


def test_without_the_time_a_day_is_a_day_of_running() -> None:
    world = World("2026-11-26 15:00")
    world.stored = None
    world.start(knows=False)
    world.play(1800)
    for _ in range(20):
        world.advance(3600)
        world.restart(off=3600.0, knows=False)
    assert world.used == 30.0
    for _ in range(5):
        world.advance(3600)
        world.restart(off=3600.0, knows=False)
    assert world.used == 0.0


def test_a_correction_backwards_keeps_what_was_played() -> None:
    world = World("2026-11-26 15:00")
    world.play(600)
    world.ahead = 86400.0 * 40
    world.play(600)
    world.sync()
    assert world.used == 20.0
    world.advance(86400)
    assert world.used == 0.0


def test_what_is_kept_of_a_day_is_bounded() -> None:
    world = World()
    for _ in range(3 * RECENT_MAX):
        world.play(0.5)
        world.advance(60)
    assert len(world.book._recent) == RECENT_MAX
