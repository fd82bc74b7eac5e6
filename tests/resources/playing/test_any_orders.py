"""Any orders in any sequence, some at once, with ends between: nothing is stuck, and all is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from machine.errors import ResourceError
from resources.playing.events import Ended, Event, Started, State, Stopped
from resources.playing.holds import Holds
from tests.resources.parts import DEADLINE, Bench, make_sounds
from wire.errors import WireError

SEQUENCES = 160
STEPS = 14
TITLES = ("a", "b", "c", "d", "x", "y")


def draw(dice: random.Random) -> str:
    """Return an order of any kind, some of which nobody can carry out."""
    some = dice.sample(TITLES, 2)
    return dice.choice([
        dice.choice(TITLES), "media", "more", "狮子王", "http://h/offline.mp3", "http://h/z.mp3", "next", "previous", "next", "pause",
        "resume", "stop", "从头", "随机播放", "单曲循环", "循环播放", "顺序播放", "随机播放media", "从头播放more", "第二首", "第九首",
        json.dumps(some), json.dumps({"next": some}), json.dumps({"add": some[0]}), json.dumps({"jump": some[1]}),
        json.dumps({"position": 5}), json.dumps({"forget": some[0]}), json.dumps({"jump": 0}),
    ])  # fmt: skip


class Family:
    """Gives orders, lets titles end, holds the story and breaks files, as the dice say."""

    def __init__(self, bench: Bench, dice: random.Random) -> None:
        self.bench = bench
        self.dice = dice
        self.given: list[asyncio.Task[None]] = []
        self.told = [""]
        """What the cloud knows: titles that are reported, and those read after an order that was done."""
        bench.teller._telling._on_title = self.note

    async def note(self, title: str) -> None:
        self.told.append(title)

    async def order(self, text: str) -> None:
        with contextlib.suppress(ResourceError, WireError):
            await self.bench.point.put(text)
            self.told.append(await self.bench.point.get())

    async def hold(self) -> None:
        async with self.bench.teller.hold():
            for _ in range(self.dice.randint(0, 5)):
                await asyncio.sleep(0)

    async def step(self) -> None:
        bench, dice = self.bench, self.dice
        match dice.randint(0, 9):
            case 0 | 1 if bench.player.live:
                bench.player.live = False
                bench.player.on_end(dice.choice([None, None, "it is damaged"]))
            case 2:
                bench.player.broken = set(dice.sample(TITLES, dice.randint(0, 6)))
            case 3:
                self.given.append(asyncio.create_task(self.hold()))
            case 4 | 5:
                if bench.player.loading is not None:
                    bench.player.loading.set()
                bench.player.loading = dice.choice([None, asyncio.Event()])
            case _:
                self.given.append(asyncio.create_task(self.order(draw(dice))))
        for _ in range(dice.choice([0, 1, 3, 30])):
            await asyncio.sleep(0)

    async def rest(self) -> None:
        """Let all that was begun end."""
        if self.bench.player.loading is not None:
            self.bench.player.loading.set()
        async with asyncio.timeout(DEADLINE):
            while self.given:
                await asyncio.gather(*self.given)
                self.given = [task for task in self.given if not task.done()]
            while self.bench.teller._programme.lock.locked():
                await asyncio.sleep(0)
            advance = self.bench.teller._programme._advance
            if advance is not None:
                await asyncio.wait([advance])


def check_told(events: Iterable[Event]) -> Started | None:
    """Check that each title's end is told before another one starts; return the one that plays."""
    playing: Started | None = None
    started = False
    for event in events:
        if isinstance(event, Started):
            assert playing is None
            playing, started = event, True
        elif isinstance(event, Ended):
            assert playing is not None
            assert event.track == playing.track
            playing = None
        elif isinstance(event, Stopped):
            assert playing is None
            assert started
            started = False
    assert started is (playing is not None)
    return playing


@pytest.mark.parametrize("part", range(4))
async def test_nothing_is_stuck_and_all_is_told(tmp_path: Path, part: int) -> None:
    for number in range(SEQUENCES // 4):
        dice = random.Random(1000 * part + number)
        bench = Bench(tmp_path / "media", "a", "b", "c", "d")
        make_sounds(tmp_path / "media" / "more", "x.mp3", "y.mp3")
        bench.player.at = 10.0
        family = Family(bench, dice)
        for _ in range(STEPS):
            await family.step()
        await family.rest()
        teller = bench.teller
        playing = check_told(bench.events)
        assert teller.title == (playing.track.title if playing else "")
        assert teller.playing is (playing is not None)
        assert family.told[-1] == teller.title
        assert (teller.state is State.IDLE) is (playing is None)
        if playing is not None and not teller.deck.paused:
            assert bench.player.played[-1] in {playing.track.title, Path(playing.track.source).stem}
            assert bench.player.live
            assert not bench.player.silent
        bench.player.loading = None
        bench.player.broken = set()
        await bench.point.put("a")  # whatever came before, a title can be played
        assert await bench.point.get() == "a"
        await teller.close()


def test_who_holds_covers_what_came_before() -> None:
    holds = Holds()
    holds.begin(3)
    assert [holds.active, holds.covers(3), holds.covers(4)] == [True, True, False]
    holds.note_obeyed(4)
    assert [holds.active, holds.covers(3)] == [False, False]
    holds.end()
    assert not holds.lets_go_on()
