"""The parents' rules in a house whose clocks the test moves."""

from __future__ import annotations

import pytest

from machine.errors import UnavailableError
from resources.times.rules import Kept
from tests.resources.times.world import World
from wire.errors import FieldError
from wire.rules import parse_rules

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
FINISH_SECONDS = 3_600.0

NIGHT = "quiet 20:30-06:30"


def set_up(text: str, local: str = "2026-11-26 18:00", zone: str = "Europe/Berlin") -> World:
    world = World(local, zone)
    world.order(text)
    return world


def test_without_rules_all_may_play() -> None:
    world = World()
    assert world.value == "off"
    assert not world.rules.any
    assert world.rules.refusal() is None
    assert world.rules.left() is None


@pytest.mark.parametrize(
    ("now", "refused"),
    [
        ("2026-11-26 20:29:59", False),
        ("2026-11-26 20:30", True),
        ("2026-11-27 00:00", True),
        ("2026-11-27 06:29:59", True),
        ("2026-11-27 06:30", False),
    ],
)
def test_quiet_hours(now: str, *, refused: bool) -> None:
    world = set_up(NIGHT, now)
    assert (world.rules.refusal() is not None) is refused
    assert (world.rules.refusal(begins=False) is not None) is refused
    if refused:
        assert world.rules.refusal() == "rules: quiet hours until 06:30"


def test_the_seconds_until_quiet_hours_are_exact() -> None:
    world = set_up(NIGHT, "2026-11-26 20:27:30.5")
    assert world.rules.left() == 149.5
    world.advance(149.5)
    assert world.rules.left() == 0.0


@pytest.mark.parametrize(
    ("now", "left"),
    [
        ("2027-03-28 01:59", 60.0),  # summer time begins: 02:00 is 03:00, and in the quiet hours
        ("2027-10-31 01:59", None),  # it ends: 02:00 comes twice, and 02:30 is far
    ],
)
def test_a_change_of_summer_time_in_the_minutes_before(now: str, left: float | None) -> None:
    world = set_up("quiet 02:30-06:30", now)
    assert world.rules.left() == left


def test_quiet_hours_go_by_the_zone_of_now() -> None:
    for zone, refused in (("Asia/Shanghai", True), ("Europe/Berlin", False)):
        world = World("2026-11-26 14:00", "Europe/Berlin")
        world.order(NIGHT)
        world.zone = type(world.zone)(zone)
        assert (world.rules.refusal() is not None) is refused


def test_a_days_measure_is_played_in_parts_and_is_over() -> None:
    world = set_up("daily 60")
    world.play(1800)
    world.advance(3600)  # what does not sound is not counted
    world.play(1700)
    assert world.rules.left() == 100.0
    assert world.rules.refusal() is None
    world.play(100)
    assert world.rules.refusal() == "rules: today's 60 minutes are over"
    assert world.rules.left() == 0.0
    world.advance(86400)
    assert world.rules.refusal() is None


def test_a_reboot_gives_no_second_measure() -> None:
    world = set_up("daily 60")
    for knows in (True, False, True):
        world.play(1200)
        world.restart(knows=knows)
    assert world.rules.refusal() == "rules: today's 60 minutes are over"


def test_a_bonus_is_for_today() -> None:
    world = set_up("daily 10; then finish")
    world.play(600)
    assert world.rules.refusal()
    world.order("bonus 15")
    assert world.value == "daily 10; bonus 15; then finish"
    assert world.rules.refusal() is None
    world.play(900)
    assert world.rules.refusal() == "rules: today's 25 minutes are over"
    world.advance(86400)
    assert world.value == "daily 10; then finish"
    world.play(600)
    assert world.rules.refusal()


def test_a_bonus_given_before_the_date_was_known_is_for_the_real_date() -> None:
    world = World("2026-11-24 18:00")
    world.order("daily 10")
    world.store()
    world.true = world.at("2026-11-27 18:00")
    world.start(knows=False)
    world.order("bonus 15")
    world.advance(60)
    world.sync()
    assert world.value == "daily 10; bonus 15"
    world.advance(7 * 3600)
    assert world.value == "daily 10"


def test_a_bonus_is_kept_when_the_cloud_corrects_the_date_backwards() -> None:
    world = World("2026-11-26 18:00")
    world.ahead = 40 * 86400.0
    world.order("daily 10")
    world.order("bonus 15")
    world.advance(60)
    world.sync()
    assert world.value == "daily 10; bonus 15"
    world.advance(7 * 3600)
    assert world.value == "daily 10"


def test_a_bonus_needs_a_measure() -> None:
    world = World()
    with pytest.raises(
        FieldError, match=r'rules.bonus: got 15, expected a "daily" measure beside it'
    ):
        world.order("bonus 15")
    assert world.value == "off"


def test_what_is_read_can_be_set_again() -> None:
    for text in (
        "off",
        "daily 0",
        f"{NIGHT}, 12:30-14:00; daily 60; bonus 5; then finish; tonight last",
    ):
        world = set_up(text)
        assert world.value == text
        world.order(world.value)
        assert world.value == text


def test_off_ends_all() -> None:
    world = set_up(f"{NIGHT}; daily 0; bonus 0; tonight last")
    world.order("off")
    assert world.value == "off"
    assert world.rules.refusal() is None


@pytest.mark.parametrize(
    ("rule", "now", "refused"),
    [
        ("tonight 22:00-07:00", "2026-11-26 21:59", False),
        ("tonight 22:00-07:00", "2026-11-26 22:00", True),
        ("tonight 22:00-07:00", "2026-11-27 06:59", True),
        ("tonight 22:00-07:00", "2026-11-27 07:00", False),
        ("tonight 22:00-07:00", "2026-11-27 21:00", True),
        ("tonight 22:00-06:00", "2026-11-27 06:15", False),
        ("tonight free", "2026-11-26 23:00", False),
        ("tonight free", "2026-11-27 13:00", True),
        ("tonight free", "2026-11-27 21:00", True),
        ("tonight last", "2026-11-26 18:01", True),
        ("tonight last", "2026-11-27 06:31", False),
    ],
)
def test_rules_for_tonight_end_by_themselves(rule: str, now: str, *, refused: bool) -> None:
    world = set_up(f"{NIGHT}, 12:30-14:00")
    world.order(rule)
    assert world.value.endswith(rule)
    world.advance(world.at(now) - world.true)
    assert (world.rules.refusal() is not None) is refused
    world.advance(world.at("2026-11-27 12:00") - world.true)
    assert "tonight" not in world.value


@pytest.mark.parametrize(
    ("hours", "ordered", "now", "refused"),
    [
        ("17:00-18:00", "2026-11-26 15:00", "2026-11-26 17:30", False),
        ("16:59-18:00", "2026-11-26 15:00", "2026-11-26 17:30", True),
        ("03:59-05:00", "2026-11-27 03:30", "2026-11-27 04:30", False),
        ("04:00-05:00", "2026-11-27 03:30", "2026-11-27 04:30", True),
    ],
)
def test_the_night_begins_at_five_and_has_all_that_begins_before_four(
    hours: str, ordered: str, now: str, *, refused: bool
) -> None:
    """Whoever frees the night frees no rest after lunch, and no early morning."""
    world = set_up(f"quiet 12:30-14:00, 20:30-03:00, {hours}", ordered)
    world.order("tonight free")
    world.advance(world.at(now) - world.true)
    assert (world.rules.refusal() is not None) is refused


def test_the_night_that_has_begun_is_tonight() -> None:
    world = set_up(NIGHT, "2026-11-26 23:00")
    world.order("tonight free")
    assert world.rules.refusal() is None
    world.restart()
    assert world.rules.refusal() is None
    world.advance(8 * 3600)
    assert world.value == NIGHT


def test_quiet_hours_of_the_day_that_have_begun_are_meant_too() -> None:
    world = set_up(f"{NIGHT}, 12:30-14:00", "2026-11-26 13:00")
    assert world.rules.refusal() == "rules: quiet hours until 14:00"
    world.order("tonight free")
    assert world.rules.refusal() is None
    world.restart()
    assert world.rules.refusal() is None
    world.advance(8 * 3600)
    assert world.value == f"{NIGHT}, 12:30-14:00"
    assert world.rules.refusal() == "rules: quiet hours until 06:30"


def test_where_there_are_none_of_the_night_all_are_meant() -> None:
    world = set_up("quiet 12:30-14:00", "2026-11-26 10:00")
    world.order("tonight free")
    world.advance(3 * 3600)
    assert world.rules.refusal() is None
    world.advance(24 * 3600)
    assert world.rules.refusal()


def test_a_night_without_quiet_hours_ends_at_six() -> None:
    world = set_up("tonight last")
    assert world.rules.refusal() == "rules: nothing more tonight, until 06:00"
    world.advance(12 * 3600)
    assert world.rules.refusal() is None


def test_the_last_story_goes_on_also_after_a_pause() -> None:
    world = set_up("tonight last")
    assert world.rules.refusal(begins=False) is None
    assert world.rules.left() == FINISH_SECONDS
    world.advance(FINISH_SECONDS)
    assert world.rules.left() == 0.0


def test_a_story_that_may_finish_has_an_hour() -> None:
    world = set_up(f"{NIGHT}; then finish", "2026-11-26 20:29")
    assert world.rules.left() is None
    world.advance(60)
    assert world.rules.refusal()
    assert world.rules.left() == FINISH_SECONDS
    assert world.rules.refusal(begins=False) is None
    world.advance(FINISH_SECONDS)
    assert world.rules.left() == 0.0
    assert world.rules.refusal(begins=False)
    world.rules.story_ended()
    assert world.rules.refusal(begins=False)


def test_a_story_that_was_paused_at_the_limit_does_not_finish_later() -> None:
    world = set_up(f"{NIGHT}; then finish", "2026-11-26 20:29")
    world.advance(3600)
    assert world.rules.refusal(begins=False)


def test_a_battery_pull_in_quiet_hours_is_no_way_around() -> None:
    world = set_up(NIGHT, "2026-11-26 21:00")
    world.restart(knows=False)
    assert world.rules.refusal() == "rules: quiet hours until 06:30"


@pytest.mark.parametrize("hours", [NIGHT, f"daily 5; {NIGHT}", "tonight 20:00-07:00"])
def test_a_machine_that_never_knew_the_time_refuses_hours_and_keeps_what_it_had(hours: str) -> None:
    world = World("2026-11-26 21:00")
    world.stored = None
    world.start(knows=False)
    world.order("daily 60")
    with pytest.raises(UnavailableError, match="rules: the time of day was never known here"):
        world.order(hours)
    assert world.value == "daily 60"
    world.order("tonight last")  # which needs no clock
    world.sync()
    world.order(hours)


def test_hours_that_an_earlier_version_took_hold_as_soon_as_the_time_is_known() -> None:
    world = World("2026-11-26 21:00")
    world.stored = None
    world.start(knows=False)
    world.rules.kept = Kept(parse_rules(f"{NIGHT}; daily 60"))
    assert world.rules.refusal() is None
    assert world.rules.status()["timeIsKnown"] is False
    world.play(3600)
    assert world.rules.refusal() == "rules: today's 60 minutes are over"
    world.sync()
    assert world.rules.refusal() == "rules: quiet hours until 06:30"


def test_quiet_all_day_is_told_without_an_end() -> None:
    world = set_up("quiet 00:00-12:00, 12:00-24:00")
    assert world.rules.refusal() == "rules: quiet hours until another order"


def test_status_tells_what_is_left() -> None:
    world = set_up("daily 60; bonus 5")
    world.play(90)
    assert world.rules.status() == {
        "rules": "daily 60; bonus 5",
        "playedMinutes": 1.5,
        "leftMinutes": 63.5,
        "refusal": None,
        "damaged": None,
        "timeIsKnown": True,
    }
