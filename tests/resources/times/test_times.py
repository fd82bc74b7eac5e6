"""Timer and rules as the rest of the machine sees them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from base.clock import TrustedTime
from machine.errors import RefusedError
from resources.dispatch import Dispatch
from resources.points.rules import RulesPoint
from resources.points.sleep_timer import SleepTimerPoint
from resources.times.times import Times
from tests.resources.parts import DEADLINE, Bench
from wire.codes import Code
from wire.datapoints import Value
from wire.errors import FieldError

CHANGED = str(Code.CHANGED)


class Machine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench = Bench(folder / "media", "a", "b", "20 minutes", "别停")
        self.changes: list[tuple[str, Value]] = []
        self.times = Times(self.bench.teller, TrustedTime(), folder, self.on_change)
        self.bench.point.order_said = self.times.order_said
        self.used = 0
        self.times.used = self.use
        points = [self.bench.point, SleepTimerPoint(self.times), RulesPoint(self.times)]
        self.dispatch = Dispatch(points, self.on_put)

    def use(self) -> None:
        self.used += 1

    async def on_change(self, name: str, value: Value) -> None:
        self.changes.append((name, value))

    async def on_put(self, name: str, value: Value) -> None:
        self.times.ordered(name)
        self.changes.append((name, value))

    async def put(self, name: str, value: str) -> str:
        answer = await self.dispatch.request("PUT", name, value)
        return answer.text or str(answer.code)

    async def get(self, name: str) -> str:
        answer = await self.dispatch.request("GET", name)
        assert answer.code is Code.CONTENT
        return answer.text

    @property
    def made(self) -> bool:
        return self.times._keeper is not None


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    made = Machine(tmp_path)
    yield made
    await made.dispatch.close()


async def test_without_an_order_nothing_is_made(machine: Machine) -> None:
    await machine.put("play", "a")
    assert [await machine.get(name) for name in ("sleep_timer", "rules")] == ["off", "off"]
    assert machine.times.status() == {"sleepTimer": "off", "rules": "off"}
    assert not machine.made


async def test_what_is_set_is_read_and_reported(machine: Machine) -> None:
    await machine.put("play", "a")
    machine.changes.clear()
    for name, value in (
        ("sleep_timer", "20"), ("sleep_timer", "end"), ("sleep_timer", "after 2"), ("sleep_timer", "off"),
        ("rules", "quiet 03:00-03:01; daily 600"), ("rules", "off"),
    ):  # fmt: skip
        assert await machine.put(name, value) == CHANGED
        assert await machine.get(name) == value
        assert machine.changes.pop() == (name, value)
        assert await machine.put(name, await machine.get(name)) == CHANGED
    assert machine.used == 13


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("sleep_timer", "soon", 'sleep_timer: got "soon", expected "off", minutes from 1 to 600'),
        ("sleep_timer", "end", "nothing is playing"),
        ("rules", "daily 1441", 'rules.daily: got "1441", expected minutes from 0 to 1440'),
        ("rules", "bonus 5", 'rules.bonus: got 5, expected a "daily" measure beside it'),
    ],
)
async def test_what_is_refused_changes_nothing(
    machine: Machine, name: str, value: str, reason: str
) -> None:
    assert reason in await machine.put(name, value)
    assert await machine.get(name) == "off"


@pytest.mark.parametrize(
    ("said", "value"),
    [("二十分钟后停", "20"), ("听完这个就停", "end"), ("再听两个就停", "after 2"), ("after this story", "end"),
     ("stop in an hour", "60")],
)  # fmt: skip
async def test_play_takes_the_timer_as_it_is_said(machine: Machine, said: str, value: str) -> None:
    await machine.put("play", "a")
    assert await machine.put("play", said) == CHANGED
    assert await machine.get("sleep_timer") == value
    assert await machine.get("play") == "a"
    await machine.put("play", "取消定时")
    assert await machine.get("sleep_timer") == "off"


async def test_a_minute_that_is_said_is_a_minute(machine: Machine) -> None:
    await machine.put("play", "a")
    await machine.put("play", "一分钟后停")
    assert await machine.get("sleep_timer") == "1"


async def test_only_orders_of_somebody_who_listens_are_taps(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    taps = []
    monkeypatch.setattr(machine.times.keep(), "touched", lambda: taps.append("tap"))
    for name in ("sleep_timer", "rules", "volume", "night"):
        machine.times.ordered(name)
    assert len(taps) == 1
    assert machine.used == 4


async def test_a_title_of_the_card_is_played_also_if_it_could_be_a_timer(machine: Machine) -> None:
    for title in ("20 minutes", "别停"):
        assert await machine.put("play", title) == CHANGED
        assert await machine.get("play") == title
    assert await machine.get("sleep_timer") == "off"


async def test_what_is_said_out_of_range_is_told(machine: Machine) -> None:
    with pytest.raises(FieldError, match="二十小时后停"):
        await machine.bench.point.put("二十小时后停")
    with pytest.raises(RefusedError, match="nothing is playing"):
        await machine.bench.point.put("听完这个就停")


async def test_a_keeper_is_made_at_the_start_if_there_are_rules(tmp_path: Path) -> None:
    first = Machine(tmp_path)
    await first.put("rules", "daily 0")
    await first.dispatch.close()
    second = Machine(tmp_path)
    assert second.made
    assert "today's 0 minutes are over" in await second.put("play", "a")
    await second.dispatch.close()


async def test_run_waits_for_the_first_order(machine: Machine) -> None:
    run = asyncio.create_task(machine.times.run())
    await machine.put("rules", "daily 60")
    async with asyncio.timeout(DEADLINE):
        while not (machine.folder / "played.json").exists():
            assert not run.done(), run
            await asyncio.sleep(0)
    run.cancel()
    await asyncio.wait([run])


def test_the_start_does_not_import_what_decides() -> None:
    code = "import sys, agent.app; print(*(name for name in sys.modules if name.startswith(('resources.times', 'wire.s'))))"
    names = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"resources.times.keeper", "resources.times.rules", "wire.spoken"} & set(names)
    assert "resources.times.times" in names
