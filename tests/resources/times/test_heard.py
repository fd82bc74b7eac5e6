"""The end of a timer as it is heard: a real player on a null sink, with a machine's clock that the test moves."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from base.clock import TrustedTime
from machine.player import MpvPlayer
from resources.playing.events import Event, Stopped
from resources.playing.queue import Track
from resources.playing.teller import Teller
from resources.times import countdown
from resources.times.build import Clocks, build_keeper, in_this_zone
from resources.titles.library import Library
from tests.conftest import write_tone
from tests.machine.parts import DEADLINE, Ear, PulseServer, until_position
from wire.rules import parse_rules
from wire.sleep import parse_timer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BACK_SECONDS = 4.0

FADE = 3.0
NEAR_DB = 1.0
PLACE = 30.0


class Room:
    """A machine that plays in a room, and its clock."""

    def __init__(self, folder: Path) -> None:
        write_tone(folder / "media" / "story.wav", seconds=90)
        self.ahead = 0.0
        self.player = MpvPlayer()
        self.teller = Teller(self.player, [Library(folder / "media")], self.told)
        clocks = Clocks(lambda: time.monotonic() + self.ahead, "boot", in_this_zone, lambda: True)
        self.keeper = build_keeper(self.teller, TrustedTime(), folder, self.changed, clocks=clocks)
        self.stopped = asyncio.Event()
        self.teller.subscribe(self.hear)

    def hear(self, event: Event) -> None:
        if isinstance(event, Stopped):
            self.stopped.set()

    async def told(self, _title: str) -> None:
        pass

    async def changed(self, _name: str, _value: str) -> None:
        pass

    @property
    def track(self) -> Track:
        track = self.teller.deck.track
        assert track is not None
        return track


@pytest.fixture
async def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Room, Ear]]:
    monkeypatch.setattr(countdown, "FADE_SECONDS", FADE)
    monkeypatch.setenv("PULSE_SERVER", (sound := PulseServer(tmp_path)).address)
    sound.start()
    try:
        async with sound.ear() as ear, running(Room(tmp_path)) as made:
            yield made, ear
    finally:
        sound.kill()


@asynccontextmanager
async def running(room: Room) -> AsyncIterator[Room]:
    work = [asyncio.create_task(part.run()) for part in (room.keeper, room.teller)]
    try:
        await room.teller.order("story")
        await room.player.seek(PLACE)
        await until_position(room.player, PLACE + 0.5)
        await room.keeper.order_timer(parse_timer("1"))
        yield room
    finally:
        for task in work:
            task.cancel()
        await asyncio.wait(work)
        await room.keeper.close()
        await room.teller.close()


async def until_level(ear: Ear, low: float, high: float) -> float:
    async with asyncio.timeout(DEADLINE):
        while not low <= (level := await ear.level()) <= high:
            pass
    return level


async def test_the_story_fades_evenly_stops_and_is_left_where_the_fade_began(
    room: tuple[Room, Ear],
) -> None:
    machine, ear = room
    await until_level(ear, -NEAR_DB, NEAR_DB)
    track = machine.track
    machine.ahead += 60.0 - FADE
    heard = [await until_level(ear, -50.0, -3.0)]
    during = await machine.player.position()
    assert during is not None
    async with asyncio.timeout(DEADLINE):
        while heard[-1] > -50.0:
            heard.append(await ear.level())
    rises = [after - before for before, after in itertools.pairwise(heard)]
    assert max(rises) < NEAR_DB, heard
    async with asyncio.timeout(DEADLINE):
        await machine.stopped.wait()
    assert machine.teller.title == ""
    await ear.silence()
    left = await machine.teller.memory.left_at(track)
    assert PLACE <= left + BACK_SECONDS <= during


async def test_a_tap_in_the_fade_is_heard(room: tuple[Room, Ear]) -> None:
    machine, ear = room
    await until_level(ear, -NEAR_DB, NEAR_DB)
    machine.ahead += 60.0 - FADE
    await until_level(ear, -40.0, -6.0)
    await machine.teller.resume()
    await until_level(ear, -NEAR_DB, NEAR_DB)
    assert str(machine.keeper.evening.timer.remaining) == "10"
    assert not machine.stopped.is_set()


async def test_pauses_and_jumps_in_the_rules_fade_never_raise_the_level(
    room: tuple[Room, Ear],
) -> None:
    machine, ear = room
    await until_level(ear, -NEAR_DB, NEAR_DB)
    await machine.keeper.order_timer(parse_timer("off"))
    await machine.keeper.order_rules(parse_rules("daily 1"))
    machine.ahead += 60.0 - FADE
    for order in ("pause", '{"position": 20}'):
        before = await until_level(ear, -50.0, -3.0)
        await machine.teller.order(order)
        if order == "pause":
            await ear.silence()
            await machine.teller.resume()
        heard = [await ear.level() for _ in range(4)]
        assert max(heard) < before + NEAR_DB, (order, before, heard)
    async with asyncio.timeout(DEADLINE):
        await machine.stopped.wait()
    await ear.silence()
