"""The data points ``player`` and ``play_mode``: what they tell, take and report by themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import resources.points.player
from machine.errors import RefusedError
from resources.datapoint import DataPoint
from resources.dispatch import Dispatch
from resources.points.play_mode import PlayModePoint
from resources.points.player import PlayerPoint
from tests.resources.parts import DEADLINE, Bench
from wire.codes import Code
from wire.datapoints import Value
from wire.errors import WireError


class Rig:
    """Both points on one bench, and what they reported."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder / "media", "a", "b", "c")
        self.reports: asyncio.Queue[tuple[str, Value]] = asyncio.Queue()
        self.player = PlayerPoint(self.bench.teller, self._report)
        self.mode = PlayModePoint(self.bench.teller, self._report)

    async def _report(self, name: str, value: Value) -> None:
        await self.reports.put((name, value))

    async def report(self) -> tuple[str, Value]:
        async with asyncio.timeout(DEADLINE):
            return await self.reports.get()

    @asynccontextmanager
    async def running(self, *points: DataPoint) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(point.run()) for point in points]
        await asyncio.sleep(0)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(resources.points.player, "REPORT_SECONDS", 0.0)
    return Rig(tmp_path)


async def test_the_player_tells_what_plays(rig: Rig) -> None:
    assert json.loads(await rig.player.get())["state"] == "idle"
    await rig.bench.point.put("b")
    told = json.loads(await rig.player.get())
    assert (told["state"], told["title"], told["index"]) == ("playing", "b", 2)
    assert told["queue"] == [[1, "a"], [2, "b"], [3, "c"]]


async def test_a_place_is_gone_to_and_nothing_else_is_taken(rig: Rig) -> None:
    await rig.bench.point.put("b")
    await rig.player.put('{"position": 30.5}')
    assert rig.bench.player.at == 30.5
    for value in ("30", '{"position": -1}', '{"state": "paused"}', '{"position": 1, "title": "a"}'):
        with pytest.raises(WireError, match="player"):
            await rig.player.put(value)
    await rig.bench.point.put("stop")
    with pytest.raises(RefusedError, match="nothing is playing"):
        await rig.player.put('{"position": 1}')


@pytest.mark.parametrize(
    ("order", "state"), [("pause", "paused"), ("next", "playing"), ("stop", "idle")]
)
async def test_changes_are_reported_by_themselves(rig: Rig, order: str, state: str) -> None:
    await rig.bench.point.put("a")
    async with rig.running(rig.player):
        await rig.report()
        await rig.bench.point.put(order)
        name, value = await rig.report()
        assert (name, json.loads(str(value))["state"]) == ("player", state)
        await rig.bench.teller.deck.beat()  # the seconds of a story are no change
        with pytest.raises(RefusedError):
            await rig.bench.point.put("狮子王")
        assert rig.reports.empty()


async def test_the_mode_is_set_and_told(rig: Rig) -> None:
    assert await rig.mode.get() == "order"
    for mode in ("shuffle", "repeat-one", "repeat-all", "order"):
        await rig.mode.put(mode)
        assert await rig.mode.get() == mode
    with pytest.raises(WireError, match=r'play_mode: got "loop", expected one of order, shuffle'):
        await rig.mode.put("loop")


async def test_a_mode_in_words_is_reported_and_one_by_request_by_the_request(rig: Rig) -> None:
    async with rig.running(rig.mode):
        await rig.mode.put("shuffle")
        await rig.bench.point.put("单曲循环")
        assert await rig.report() == ("play_mode", "repeat-one")
        assert rig.reports.empty()


async def test_what_is_got_can_be_put(rig: Rig) -> None:
    async def ignore(_name: str, _value: Value) -> None:
        return

    dispatch = Dispatch([rig.bench.point, rig.player, rig.mode], ignore)
    mode = await dispatch.request("GET", "play_mode")
    assert (await dispatch.request("PUT", "play_mode", mode.text)).code is Code.CHANGED
