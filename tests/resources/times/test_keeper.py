"""The keeper with a real teller, a scripted player and clocks that the test moves.

Tests resources.times.build and resources.times.records too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from base.files import write_atomically
from machine.errors import RefusedError, ResourceError, UnavailableError
from resources.announce.cues import Cue
from resources.playing.events import Event, Kind, Refused, Started
from resources.playing.queue import Track
from resources.times import store
from resources.times.build import Clocks, build_keeper
from tests.resources.parts import DEADLINE, Bench
from tests.resources.times.world import World
from wire.rules import parse_rules
from wire.sleep import parse_timer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BACK_SECONDS = 4.0
FADE_SECONDS = 25.0
LOOK_SECONDS = 1.0

NIGHT = "quiet 20:30-06:30"


class House:
    """A machine with stories a to d, its keeper, and a child who gives orders."""

    def __init__(self, folder: Path, *, says: bool = True) -> None:
        self.folder = folder
        self.world = World("2026-11-26 18:00")
        self.bench = Bench(folder / "media", "a", "b", "c", "d")
        self.fades: list[asyncio.Event] = []
        self.bench.player.fade = self.fade  # type: ignore[method-assign]
        self.says = says
        self.said: list[Cue] = []
        self.changes: list[tuple[str, str]] = []
        self.tracks: list[Track] = []
        self.bench.teller.subscribe(self.note)
        self.keep()

    def keep(self) -> None:
        self.keeper = build_keeper(
            self.bench.teller, self.world.trusted, self.folder, self.on_change, say=self.say,
            clocks=Clocks(
                lambda: self.world.ticks, str(self.world.boots), self.world.local, self.world.knows
            ),
        )  # fmt: skip

    def note(self, event: Event) -> None:
        if isinstance(event, Started):
            self.tracks.append(event.track)

    async def on_change(self, name: str, value: str) -> None:
        self.changes.append((name, value))

    def say(self, cue: Cue) -> bool:
        self.said.append(cue)
        return self.says

    async def fade(self, to_db: float, seconds: float) -> bool:
        """Fade to silence until the test lets it end, or another fade does; others are over at once."""
        self.bench.player.fades.append((to_db, seconds))
        fades, turn = self.fades, len(self.fades) + (to_db <= -20)
        if fades:
            fades[-1].set()
        if to_db > -20:
            return True
        self.fades.append(asyncio.Event())
        async with asyncio.timeout(DEADLINE):
            await fades[-1].wait()
        return len(fades) == turn

    async def order(self, text: str) -> None:
        await self.bench.point.put(text)

    async def timer(self, text: str) -> None:
        await self.keeper.order_timer(parse_timer(text))

    async def rules(self, text: str) -> None:
        await self.keeper.order_rules(parse_rules(text))

    async def passes(self, seconds: float, *, step: float = 1.0) -> None:
        """Let time pass as the keeper's loop does."""
        while seconds > 0:
            self.world.true += min(step, seconds)
            self.world.ticks += min(step, seconds)
            seconds -= step
            await self.keeper.look()
            await self.settle()

    async def settle(self) -> None:
        """Let begun tasks come to where they wait."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def faded(self) -> None:
        """Let the fade to silence end."""
        fade = self.keeper._fade
        assert fade is not None
        self.fades[-1].set()
        async with asyncio.timeout(DEADLINE):
            await fade
        await self.keeper.look()

    @property
    def title(self) -> str:
        return self.bench.teller.title

    @property
    def value(self) -> str:
        return str(self.keeper.evening.timer.remaining)

    @property
    def fading(self) -> object:
        return self.keeper.status()["fading"]

    def restart(self) -> None:
        """The agent starts again; the machine does not."""
        self.bench = Bench(self.folder / "media", "a", "b", "c", "d")
        self.bench.player.fade = self.fade  # type: ignore[method-assign]
        self.keep()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    await made.keeper.close()
    await made.bench.teller.close()


async def test_a_timer_gives_a_sign_fades_and_stops(house: House) -> None:
    await house.order("a")
    await house.timer("2")
    await house.passes(59)
    assert house.said == []
    await house.passes(1)
    assert house.said == [Cue.TIMER_SOON]
    await house.passes(34)
    assert house.fades == []
    await house.passes(1)
    assert house.bench.player.fades == [(-60.0, FADE_SECONDS)]
    assert house.title == "a"
    await house.passes(24)
    await house.faded()
    assert house.title == ""
    await house.passes(1)
    assert house.value == "off"
    assert house.changes == [("sleep_timer", "off")]
    assert house.said == [Cue.TIMER_SOON, Cue.GOOD_NIGHT]  # and nothing to a child who sleeps


async def test_without_a_voice_the_level_dips(tmp_path: Path) -> None:
    house = House(tmp_path, says=False)
    await house.order("a")
    await house.timer("2")
    await house.passes(60)
    assert house.bench.player.fades == [(-9.0, 0.4), (0.0, 0.8)]
    await house.bench.teller.close()


async def test_a_player_that_does_not_fade_is_stopped_in_time(house: House) -> None:
    await house.order("a")
    await house.timer("1")
    await house.passes(59)
    seen = [house.title]
    await house.passes(1)
    seen += [house.title, house.value]
    assert seen == ["a", "", "off"]


async def test_a_player_that_fails_is_asked_again(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> None:
        raise UnavailableError("play: mpv does not answer")

    await house.order("a")
    await house.timer("1")
    stop, house.bench.player.stop = house.bench.player.stop, fails  # type: ignore[method-assign]
    await house.passes(61)
    assert "the story cannot be stopped at its time: play: mpv does not answer" in caplog.text
    house.bench.player.stop = stop  # type: ignore[method-assign]
    await house.order("b")
    await house.rules("daily 0")
    await house.passes(3)
    assert house.title == ""


@pytest.mark.parametrize("order", ["pause", "resume", "next", "b"])
async def test_a_tap_in_the_last_minute_gives_ten_more(house: House, order: str) -> None:
    await house.order("a")
    await house.timer("2")
    await house.passes(100)
    assert house.fading
    await house.order(order)
    await house.passes(1)
    assert house.value == "10"
    assert house.changes == [("sleep_timer", "10")]
    assert not house.fading
    if order != "pause":
        assert house.bench.player.fades[-1] == (0.0, 0.5)
    await house.passes(100)
    assert house.title


async def test_an_order_for_the_time_itself_is_no_tap(house: House) -> None:
    await house.order("a")
    await house.timer("2")
    await house.passes(100)
    await house.timer("1")
    assert house.value == "1"
    await house.passes(60)
    assert house.title == ""


async def test_a_timer_that_is_taken_back_in_the_fade_lets_the_story_be_heard(house: House) -> None:
    await house.order("a")
    await house.timer("2")
    await house.passes(100)
    await house.timer("off")
    await house.passes(1)
    assert house.bench.player.fades[-1] == (0.0, 0.5)
    await house.passes(60)
    assert house.title == "a"


async def left_at(house: House, title: str) -> float:
    """Return the second that the machine remembers of a title."""
    (found,) = [track for track in house.tracks if track.title == title]
    return await house.bench.teller.memory.left_at(found)


async def test_tomorrow_the_story_goes_on_where_the_fade_began(house: House) -> None:
    await house.order("a")
    await house.timer("2")
    house.bench.player.at = 500.0
    await house.passes(95)
    house.bench.player.at = 525.0
    await house.faded()
    assert house.title == ""
    assert await left_at(house, "a") == 500.0 - BACK_SECONDS


async def test_a_fade_that_was_taken_back_leaves_no_mark(house: House) -> None:
    await house.order("a")
    await house.timer("2")
    house.bench.player.at = 500.0
    await house.passes(100)
    await house.timer("off")
    await house.passes(1)
    house.bench.player.at = 900.0
    await house.order("stop")
    assert await left_at(house, "a") == 900.0 - BACK_SECONDS


async def test_the_end_of_this_story(house: House) -> None:
    await house.order("a")
    await house.timer("end")
    house.bench.player.on_end(None)
    assert await house.bench.change() == ""
    await house.passes(1)
    assert house.value == "off"
    assert house.bench.player.fades == []


async def test_the_end_of_the_last_story_has_a_sign(house: House) -> None:
    await house.order("a")
    await house.timer("end")
    house.bench.player.duration = 300.0
    for position in (100.0, 239.0, 241.0, 280.0):
        house.bench.player.at = position
        await house.passes(1)
        assert bool(house.said) is (position > 240)
    assert house.said == [Cue.TIMER_SOON]


async def test_after_two_more_stories(house: House) -> None:
    await house.order("media")
    await house.timer("after 2")
    for title, value in (("b", "after 1"), ("c", "end")):
        house.bench.player.on_end(None)
        assert await house.bench.change() == title
        assert house.value == value
    house.bench.player.on_end(None)
    assert await house.bench.change() == ""
    assert house.value == "off"


async def test_the_end_of_a_story_needs_one(house: House) -> None:
    with pytest.raises(RefusedError, match="nothing is playing"):
        await house.timer("end")


async def test_a_timer_ends_a_paused_story_too(house: House) -> None:
    await house.order("a")
    await house.timer("1")
    await house.order("pause")
    await house.passes(60, step=30.0)
    assert house.title == ""
    assert house.bench.player.fades == []


async def test_a_timer_with_nothing_to_end_ends(house: House) -> None:
    await house.timer("1")
    await house.passes(60, step=30.0)
    assert house.value == "off"
    await house.order("a")
    await house.passes(30)
    assert house.title == "a"


# The parents' rules.


async def test_quiet_hours_refuse_what_would_sound(house: House) -> None:
    house.world.advance(3 * 3600)
    await house.rules(NIGHT)
    with pytest.raises(ResourceError, match="rules: quiet hours until 06:30"):
        await house.order("a")
    assert house.bench.events == [Refused(Kind.NOT_ALLOWED, "rules: quiet hours until 06:30")]
    assert house.bench.player.played == []


async def test_quiet_hours_fade_what_sounds_and_say_so(house: House) -> None:
    await house.order("a")
    await house.rules("daily 2")
    await house.passes(95)
    assert house.said == [Cue.TIMER_SOON]
    await house.passes(24)
    assert house.title == "a"
    await house.passes(1)
    assert house.title == ""
    assert house.said == [Cue.TIMER_SOON, Cue.TIME_UP]
    with pytest.raises(ResourceError, match="today's 2 minutes are over"):
        await house.order("a")


async def test_a_tap_does_not_move_the_parents_limit(house: House) -> None:
    await house.order("a")
    await house.rules("daily 2")
    await house.passes(100)
    for order in ("resume", '{"position": 7}', "next", "shuffle"):
        await house.order(order)
        await house.passes(2)
        assert [to for to, _ in house.bench.player.fades] == [-60.0]
    assert house.bench.player.kept_fades == [False, True]
    await house.passes(12)
    assert house.title == ""


@pytest.mark.parametrize("how", ["pause", "hold"])
async def test_a_pause_in_the_fade_stays_at_its_level_and_the_fade_goes_on_from_there(
    house: House, how: str
) -> None:
    await house.order("a")
    await house.rules("daily 2")
    await house.passes(100)
    fade = house.keeper._fade
    if how == "pause":
        await house.order("pause")
        await house.passes(100)
        await house.order("resume")
    else:
        async with house.bench.teller.hold():
            await house.passes(100)
    assert fade is not None
    assert fade.cancelled()  # where it was
    assert house.title == "a"  # what does not sound does not count
    await house.passes(1)
    assert house.bench.player.fades == [(-60.0, 25.0), (-60.0, 19.0)]
    await house.passes(19)
    assert house.title == ""
    await house.passes(1)
    assert not house.bench.teller.deck.keeps_fade


async def test_a_bonus_in_the_fade_lets_the_story_be_heard_also_after_a_pause(house: House) -> None:
    await house.order("a")
    await house.rules("daily 2")
    await house.passes(100)
    await house.order("pause")
    await house.rules("bonus 10")
    await house.passes(1)
    assert len(house.bench.player.fades) == 1
    await house.order("resume")
    await house.passes(1)
    assert house.bench.player.fades[1:] == [(0.0, 0.5)]
    await house.order("next")
    assert house.bench.player.kept_fades == [False, False]


async def test_more_time_that_is_asked_for_while_the_machine_listens_is_heard(house: House) -> None:
    await house.order("a")
    await house.timer("2")
    await house.passes(100)
    async with house.bench.teller.hold():
        await house.passes(1)
        await house.timer("30")
    await house.passes(1)
    assert house.bench.player.fades == [(-60.0, 25.0), (0.0, 0.5)]


async def test_an_order_of_quiet_now_fades_for_a_moment(house: House) -> None:
    await house.order("a")
    await house.rules("daily 0")
    await house.passes(1)
    assert house.bench.player.fades == [(-60.0, 2.0)]
    await house.passes(2)
    assert house.title == ""


async def test_a_story_that_may_finish_is_the_last(house: House) -> None:
    await house.order("a")
    await house.rules("daily 1; then finish")
    await house.passes(90)
    assert house.title == "a"
    assert house.bench.player.fades == []
    await house.order("pause")
    await house.order("resume")
    with pytest.raises(ResourceError, match="today's 1 minutes are over"):
        await house.order("next")
    house.bench.player.on_end(None)
    assert await house.bench.change() == ""


async def test_a_paused_story_does_not_go_on_in_quiet_hours(house: House) -> None:
    await house.rules(NIGHT)
    await house.order("a")
    await house.order("pause")
    house.world.advance(3 * 3600)
    with pytest.raises(ResourceError, match="quiet hours"):
        await house.order("resume")
    await house.order("stop")


async def test_what_is_held_when_quiet_hours_begin_does_not_go_on(house: House) -> None:
    """A machine that listens pauses the story without an order, and lets it go on without one."""
    await house.rules(NIGHT)
    await house.order("a")
    house.world.advance(2.5 * 3600 - 100)
    await house.keeper.look()
    async with house.bench.teller.hold():
        await house.passes(98)
        assert house.title == "a"
        await house.passes(2)
        assert house.title == ""
    assert not house.bench.teller.playing
    assert house.said[-1] is Cue.TIME_UP


@pytest.mark.parametrize("held", [False, True])
async def test_what_may_go_on_without_an_order_is_looked_at_each_second(
    house: House, *, held: bool
) -> None:
    await house.rules("daily 60")
    await house.order("a")
    async with house.bench.teller.hold() if held else contextlib.nullcontext():
        await house.keeper.look()
        assert house.keeper._wait() == LOOK_SECONDS
    await house.order("pause")
    await house.keeper.look()
    assert house.keeper._wait() > LOOK_SECONDS


async def test_only_what_sounds_is_counted(house: House) -> None:
    await house.rules("daily 60")
    await house.order("a")
    await house.passes(60)
    await house.order("pause")
    await house.passes(60)
    async with house.bench.teller.hold():
        await house.passes(60)
    assert house.keeper.status()["playedMinutes"] == 1.0
    await house.order("resume")
    await house.passes(30)
    await house.order("b")
    await house.passes(30)
    await house.order("stop")
    await house.passes(60)
    assert house.keeper.status()["playedMinutes"] == 2.0


async def test_a_bonus_that_is_over_is_reported(house: House) -> None:
    await house.rules("daily 60; bonus 5")
    await house.passes(1)
    assert house.changes == []
    await house.passes(6 * 3600 + 1, step=600.0)
    assert house.changes == [("rules", "daily 60")]


# What is stored.


async def write(house: House) -> None:
    """Let the writer work off what is wanted."""
    await house.keeper._records.write()


async def test_the_minutes_are_written_ahead(house: House) -> None:
    await house.rules("daily 60")
    await house.order("a")
    for second in range(1, 62):
        await house.passes(1)
        await write(house)
        stored = json.loads((house.folder / store.PLAYED).read_text())
        assert second <= stored["seconds"] <= second + 30
    await house.keeper.close()
    assert json.loads((house.folder / store.PLAYED).read_text())["seconds"] == 61.0


async def test_a_pulled_battery_gains_nothing(house: House) -> None:
    """Forty times, each in the last second before the next writing."""
    await house.rules("daily 10")
    heard = 0
    for _ in range(40):
        try:
            await house.order("a")
        except ResourceError:
            break
        await house.passes(1)
        await write(house)
        await house.passes(28)
        heard += 29
        house.world.boots += 1
        house.world.ticks = 0.0
        house.restart()
    assert 0 < heard <= 600


async def test_rules_are_in_force_when_they_are_on_disk(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    await house.rules("daily 60")
    monkeypatch.setattr(store, "write_atomically", full)
    with pytest.raises(UnavailableError, match="rules: not stored: No space left on device"):
        await house.rules("daily 0")
    assert str(house.keeper.evening.rules.rules) == "daily 60"
    await house.order("a")


async def test_rules_that_were_given_up_are_not_found_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dispatch gives up after 8 s; a slow card may write them all the same."""
    await house.rules("daily 60")
    begun, go_on = threading.Event(), threading.Event()

    def slow(path: Path, data: bytes) -> None:
        begun.set()
        assert go_on.wait(DEADLINE)
        write_atomically(path, data)

    monkeypatch.setattr(store, "write_atomically", slow)
    order = asyncio.create_task(house.rules("daily 0"))
    await asyncio.to_thread(begun.wait, DEADLINE)
    order.cancel()
    await house.settle()
    assert not order.done()  # a file has one writer
    go_on.set()
    await asyncio.wait([order])
    assert order.cancelled()
    assert str(house.keeper.evening.rules.rules) == "daily 60"
    await write(house)
    assert json.loads((house.folder / store.RULES).read_text())["rules"] == "daily 60"


async def test_the_last_of_two_orders_wins(house: House) -> None:
    await asyncio.gather(house.rules("daily 60"), house.rules("daily 30"))
    assert str(house.keeper.evening.rules.rules) == "daily 30"
    assert json.loads((house.folder / store.RULES).read_text())["rules"] == "daily 30"


async def test_a_full_disk_stops_nothing_and_is_logged_once(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    await house.rules("daily 60")
    await house.order("a")
    monkeypatch.setattr(store, "write_atomically", full)
    for _ in range(100):
        await house.passes(1)
        await write(house)
    assert caplog.text.count("sleep timer and rules are not stored") == 1
    monkeypatch.undo()
    await house.passes(30)
    await write(house)
    assert json.loads((house.folder / store.PLAYED).read_text())["seconds"] >= 130


async def test_a_change_of_the_timer_that_nobody_ordered_is_stored_when_the_disk_has_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def stored() -> object:
        return json.loads((house.folder / store.TIMER).read_text())["timer"]["stories"]

    await house.order("a")
    await house.timer("after 2")
    monkeypatch.setattr(store, "write_atomically", full)
    await house.order("b")
    await house.passes(1)
    await write(house)
    monkeypatch.undo()
    await house.passes(29)
    await write(house)
    assert (house.value, stored()) == ("after 1", 2)
    await house.passes(2)
    await write(house)
    assert stored() == 1


async def test_timer_and_rules_survive_a_restart_of_the_agent(house: House) -> None:
    await house.rules(f"{NIGHT}; daily 60; bonus 5; tonight 21:30-07:00")
    await house.order("a")
    await house.timer("20")
    await house.passes(300)
    await house.keeper.close()
    house.restart()
    assert house.value == "15"
    assert str(house.keeper.evening.rules.rules) == (
        f"{NIGHT}; daily 60; bonus 5; tonight 21:30-07:00"
    )
    assert house.keeper.status()["playedMinutes"] == 5.0


async def test_a_start_of_the_machine_drops_the_timer_and_keeps_the_rules(house: House) -> None:
    await house.rules(NIGHT)
    await house.order("a")
    await house.timer("20")
    await house.keeper.close()
    house.world.restart(knows=False)
    house.restart()
    assert house.value == "off"
    house.world.advance(2.5 * 3600)
    with pytest.raises(ResourceError, match="quiet hours until 06:30"):
        await house.order("a")


async def test_run_keeps_the_time_by_itself(house: House) -> None:
    run = asyncio.create_task(house.keeper.run())
    await house.order("a")
    await house.timer("1")
    async with asyncio.timeout(DEADLINE):
        while not (house.folder / store.TIMER).exists():
            await asyncio.sleep(0)
    house.world.ticks += 61.0
    async with asyncio.timeout(DEADLINE):
        while house.title:
            house.keeper._wake.set()
            house.world.ticks += 1.0
            await asyncio.sleep(0)
    run.cancel()
    await asyncio.wait([run])
