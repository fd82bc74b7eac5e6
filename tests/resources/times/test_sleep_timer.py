"""The sleep timer on a clock that the test moves."""

from __future__ import annotations

import pytest

from machine.errors import RefusedError
from resources.times.sleep_timer import SleepTimer
from wire.errors import FieldError
from wire.sleep import parse_timer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LAPSE_SECONDS = 36_000.0


class Machine:
    def __init__(self) -> None:
        self.now = 5000.0
        self.knows = True
        self.timer = self.boot("a")

    def boot(self, name: str) -> SleepTimer:
        return SleepTimer(lambda: self.now, name, self.until)

    def until(self, minute: int) -> float | None:
        """Return the seconds until a minute of a day that begins at 0."""
        return (minute * 60 - self.now) % 86400 if self.knows else None

    def order(self, text: str, *, loaded: bool = True) -> None:
        self.timer.order(parse_timer(text), loaded=loaded)

    @property
    def value(self) -> str:
        return str(self.timer.remaining)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_minutes_count_down_to_one(machine: Machine) -> None:
    assert machine.value == "off"
    machine.order("20")
    seen = []
    for _ in range(20):
        seen.append(machine.value)
        machine.now += 60
    assert seen == [str(left) for left in range(20, 0, -1)]
    assert machine.value == "1"
    assert machine.timer.left == 0
    assert machine.timer.expire()
    assert machine.value == "off"
    assert not machine.timer.expire()


def test_the_last_order_wins(machine: Machine) -> None:
    for text in ("20", "end", "after 3", "600", "off"):
        machine.order(text)
        assert machine.value == text


def test_stories_count_when_they_begin(machine: Machine) -> None:
    machine.order("after 2")
    seen = []
    for _ in range(4):
        seen.append((machine.value, machine.timer.ends_with_story))
        machine.timer.began()
    assert seen == [("after 2", False), ("after 1", False), ("end", True), ("end", True)]
    machine.timer.stopped()
    assert machine.value == "off"


def test_the_end_of_a_story_needs_one(machine: Machine) -> None:
    machine.order("20")
    with pytest.raises(RefusedError, match='nothing is playing, so there is no "end"'):
        machine.order("end", loaded=False)
    assert machine.value == "20"
    machine.order("after 1", loaded=False)
    machine.timer.began()
    assert machine.value == "end"


def test_a_stop_ends_what_awaits_stories_and_not_what_awaits_a_time(machine: Machine) -> None:
    machine.order("20")
    machine.timer.stopped()
    assert machine.value == "20"
    machine.order("after 2")
    machine.timer.stopped()
    assert machine.value == "off"


@pytest.mark.parametrize(
    ("left", "extended"), [(61, False), (60, True), (25, True), (1, True), (0, False)]
)
def test_an_order_in_the_last_minute_gives_ten_more(
    machine: Machine, left: int, *, extended: bool
) -> None:
    machine.order("2")
    machine.now += 120 - left
    assert machine.timer.touched() is extended
    assert machine.timer.left == (600 if extended else left)


def test_a_minute_is_extended_in_its_fade_only(machine: Machine) -> None:
    machine.order("1")
    machine.now += 34
    assert not machine.timer.touched()
    machine.now += 1
    assert machine.timer.touched()
    assert machine.value == "10"


def test_an_order_does_not_move_what_awaits_stories(machine: Machine) -> None:
    machine.order("end")
    assert not machine.timer.touched()
    assert machine.timer.left == LAPSE_SECONDS


def test_it_goes_on_after_a_restart_in_the_same_boot_only(machine: Machine) -> None:
    for text, value in (("20", "11"), ("after 2", "after 2"), ("end", "end"), ("off", "off")):
        machine.order(text)
        kept = machine.timer.to_json()
        machine.now += 541
        for boot, expected in (("a", value), ("b", "off"), ("", "off")):
            again = machine.boot(boot)
            again.restore(kept)
            assert str(again.remaining) == expected, (text, boot)


def test_after_a_restart_an_order_extends_it_in_its_fade_only(machine: Machine) -> None:
    machine.order("2")
    again = machine.boot("a")
    again.restore(machine.timer.to_json())
    machine.now += 94
    assert not again.touched()
    assert again.left == 26
    machine.now += 1
    assert again.touched()
    assert again.left == 600


def test_a_record_without_a_boot_is_none(machine: Machine) -> None:
    """Where there is no id of the boot, nothing says that the seconds are of this one."""
    machine.timer = machine.boot("")
    machine.order("20")
    again = machine.boot("")
    again.restore(machine.timer.to_json())
    assert str(again.remaining) == "off"


@pytest.mark.parametrize(
    "record",
    [
        {"boot": 3, "until": 1, "stories": None},
        {"boot": "a", "until": "soon", "stories": None},
        {"boot": "a", "until": 1e12, "stories": None},
        {"boot": "a", "until": 5100.0, "stories": -1},
        {"boot": "a", "until": 5100.0, "stories": "two"},
        {"boot": "a", "until": 5100.0, "stories": 100},
        {"boot": "a", "until": 5100.0, "stories": True},
        {"boot": "a", "until": True, "stories": None},
    ],
)
def test_a_damaged_record_is_refused(machine: Machine, record: dict[str, object]) -> None:
    with pytest.raises(FieldError):
        machine.timer.restore(record)
    assert machine.value == "off"


def test_a_time_of_day_is_the_one_that_comes_next(machine: Machine) -> None:
    machine.now = 19 * 3600.0
    machine.order("at 8:30 or 20:30")
    assert (machine.value, machine.timer.left) == ("at 20:30", 5400.0)
    machine.now += 5350
    assert machine.value == "at 20:30"
    assert machine.timer.touched()
    assert machine.value == "10"


def test_a_time_of_day_survives_a_restart_of_the_agent(machine: Machine) -> None:
    machine.now = 19 * 3600.0
    machine.order("at 20:30")
    stored = machine.timer.to_json()
    machine.timer = machine.boot("a")
    machine.timer.restore(stored)
    assert (machine.value, machine.timer.left) == ("at 20:30", 5400.0)


@pytest.mark.parametrize("minute", [-1, 1440, "20:30", True, 1.5])
def test_a_stored_time_that_is_none_is_refused(machine: Machine, minute: object) -> None:
    machine.order("20")
    with pytest.raises(FieldError, match="minute"):
        machine.timer.restore({**machine.timer.to_json(), "minute": minute})


def test_a_time_of_day_is_refused_if_it_is_unknown_or_far(machine: Machine) -> None:
    machine.now = 9 * 3600.0
    machine.order("20")
    with pytest.raises(
        RefusedError, match=r"got 20:30, which is in 11\.5 hours, expected at most 10"
    ):
        machine.order("at 20:30")
    machine.knows = False
    with pytest.raises(RefusedError, match="time of day is not known yet, expected minutes"):
        machine.order("at 10:00")
    assert machine.value == "20"
