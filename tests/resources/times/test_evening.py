"""Timer and rules together: the nearer end counts, and each has its own way to move."""

from __future__ import annotations

from resources.times.countdown import Fade, Restore, Sign, Silence
from resources.times.evening import Evening, Stage, Stop, Why
from resources.times.sleep_timer import SleepTimer
from tests.resources.times.world import World
from wire.sleep import parse_timer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
STEP_SECONDS = 30.0


class Room:
    def __init__(self) -> None:
        self.world = World("2026-11-26 18:00")
        self.timer = SleepTimer(lambda: self.world.ticks, "boot")
        self.evening = Evening(self.timer, self.world.rules, lambda: self.world.ticks)
        self.evening.account(Stage.SOUNDING)

    def passes(self, seconds: float) -> list[object]:
        """Return what is to be done in these seconds, each looked at."""
        done: list[object] = []
        for _ in range(round(seconds)):
            self.world.true += 1
            self.world.ticks += 1
            self.evening.account(self.evening._stage)
            if (action := self.evening.step()) is not None:
                done.append(action)
        return done


def test_the_nearer_end_counts() -> None:
    room = Room()
    room.world.order("daily 2")
    room.timer.order(parse_timer("3"), loaded=True)
    assert room.passes(120) == [Sign(), Fade(25.0), Silence()]
    whys = [room.evening.why]
    room.world.order("bonus 60")
    assert room.passes(60) == [Restore(), Fade(25.0), Silence()]
    whys.append(room.evening.why)
    assert whys == [Why.RULES, Why.TIMER]
    room.evening.silenced()
    assert str(room.timer.remaining) == "off"


def test_a_tap_moves_the_timer_and_not_the_rules() -> None:
    room = Room()
    room.world.order("daily 2")
    room.timer.order(parse_timer("2"), loaded=True)
    room.passes(100)
    assert room.evening.touched()
    assert room.passes(20) == [Silence()]


def test_what_is_silent_is_ended_by_the_timer_alone() -> None:
    room = Room()
    room.world.order("daily 1")
    room.timer.order(parse_timer("2"), loaded=True)
    room.evening.account(Stage.SILENT)
    assert room.passes(119) == []
    assert room.passes(1) == [Stop()]
    assert room.world.used == 0.0
    assert room.passes(100) == []


def test_what_ends_in_silence_is_the_timers_also_after_an_end_by_the_rules() -> None:
    room = Room()
    room.world.order("daily 1")
    room.passes(60)
    whys = [room.evening.why]
    room.evening.silenced()
    room.evening.account(Stage.SILENT)
    room.timer.order(parse_timer("1"), loaded=True)
    assert room.passes(60) == [Stop()]
    whys.append(room.evening.why)
    assert whys == [Why.RULES, Why.TIMER]


def test_what_is_held_is_ended_by_the_rules_and_never_counted() -> None:
    room = Room()
    room.world.order("quiet 18:01-19:00; daily 60")
    room.evening.account(Stage.HELD)
    assert room.passes(59) == []
    assert room.evening.wait() == 1.0
    assert room.passes(1) == [Stop()]
    assert room.evening.why is Why.RULES
    assert room.world.used == 0.0


def test_what_is_held_may_be_finished_if_the_rules_say_so() -> None:
    room = Room()
    room.world.order("quiet 18:01-19:30; then finish")
    room.evening.account(Stage.HELD)
    assert room.passes(3600) == []
    assert room.passes(60) == [Stop()]


def test_the_next_look_is_when_something_is_due() -> None:
    room = Room()
    assert room.evening.wait() == STEP_SECONDS
    room.timer.order(parse_timer("1"), loaded=True)
    assert room.evening.wait() == STEP_SECONDS
    room.passes(20)
    assert room.evening.wait() == 15.0
    room.evening.account(Stage.EMPTY)
    assert room.evening.wait() == STEP_SECONDS
    room.passes(30)
    assert room.evening.wait() == 10.0


def test_nothing_follows_the_last_story() -> None:
    room = Room()
    assert room.evening.goes_on()
    room.timer.order(parse_timer("after 1"), loaded=True)
    assert room.evening.goes_on()
    room.evening.began()
    assert not room.evening.goes_on()
    room.evening.stopped()
    assert room.evening.goes_on()
    room.world.order("daily 0")
    assert not room.evening.goes_on()
