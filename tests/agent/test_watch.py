"""Values that change by themselves are reported once, and only then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.watch import Watcher
from machine.battery import Charge
from machine.logind import StandInPowerOff
from machine.mixers import StandInMixer
from machine.power_supply import SystemBattery
from resources.datapoint import DataPoint
from resources.dispatch import Dispatch
from resources.energy.meter import Meter
from resources.loudness.steps import level_of
from resources.points.play_mode import PlayModePoint
from resources.points.power import ChargingPoint, PowerPoint
from resources.points.rules import RulesPoint
from resources.points.switch import SwitchPoint
from resources.points.volume import VolumePoint
from resources.points.volume_limits import VolumeLimitsPoint
from tests.moved_clock import on_moved_clock
from tests.resources.parts import LoudBench, level_on
from wire.datapoints import Value


class Bench:
    def __init__(self, folder: Path) -> None:
        self.battery = folder / "BAT0"
        self.battery.mkdir()
        (self.battery / "type").write_text("Battery")
        self.charge(80)
        self.mixer = StandInMixer()
        self.told: list[tuple[str, Value]] = []
        points = [
            VolumePoint(LoudBench(level_on(self.mixer)).loudness),
            SwitchPoint(StandInPowerOff()),
            PowerPoint(Meter(SystemBattery(folder), fresh=0)),
        ]
        self.dispatch = Dispatch(points, self.put)
        self.watcher = Watcher(self.dispatch, self.report)

    def charge(self, percent: int | str) -> None:
        (self.battery / "capacity").write_text(str(percent))

    async def put(self, name: str, value: Value) -> None:
        self.watcher.note_reported(name, value)

    async def report(self, name: str, value: Value) -> None:
        self.told.append((name, value))

    async def look(self) -> list[tuple[str, Value]]:
        self.told.clear()
        await self.watcher.poll()
        return list(self.told)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_the_first_look_tells_all_and_the_next_only_what_changed(bench: Bench) -> None:
    assert await bench.look() == [("volume", 8), ("switch", False), ("power", 80)]
    assert await bench.look() == []
    bench.charge(79)
    await bench.mixer.put({"": level_of(4)})
    assert await bench.look() == [("volume", 4), ("power", 79)]


@on_moved_clock
async def test_a_change_is_told_within_a_minute_and_looked_for_no_more_often(
    tmp_path: Path,
) -> None:
    bench, looks = Bench(tmp_path), 0
    look = bench.dispatch.look

    async def counted(name: str) -> Value | None:
        nonlocal looks
        looks += name == "power"
        return await look(name)

    bench.dispatch.look = counted  # type: ignore[method-assign]
    watching = asyncio.create_task(bench.watcher.run())
    await asyncio.sleep(1)
    assert looks == 1
    bench.charge(79)
    await asyncio.sleep(60)
    watching.cancel()
    assert bench.told[-1] == ("power", 79)
    assert looks == 2


async def test_what_was_put_is_not_told_twice(bench: Bench) -> None:
    await bench.look()
    await bench.dispatch.request("PUT", "volume", "3")
    assert await bench.look() == []


async def test_a_battery_that_cannot_be_read_is_passed_over(bench: Bench) -> None:
    await bench.look()
    bench.charge("nothing")
    assert await bench.look() == []
    bench.charge(80)
    assert await bench.look() == []


async def test_one_look_reads_the_battery_once(tmp_path: Path) -> None:
    class Gauge(SystemBattery):
        reads = 0

        def read(self) -> Charge:
            self.reads += 1
            return Charge(80 - self.reads, powered=True)

    gauge, told = Gauge(tmp_path), dict[str, Value]()

    async def report(name: str, value: Value) -> None:
        told[name] = value

    meter = Meter(gauge, fresh=60.0)
    dispatch = Dispatch([PowerPoint(meter), ChargingPoint(meter)], report)
    await Watcher(dispatch, report).poll()
    assert (told, gauge.reads) == ({"power": 79, "charging": True}, 1)
    # Who acts on a reading has one of now, and it is then the newest for the others too.
    assert (await meter.read()).percent == 78
    assert (await dispatch.request("GET", "power")).text == "78"


async def test_a_look_that_an_order_overtakes_does_not_tell_the_value_of_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the cloud shows the old value as the present one, until the next look."""
    look = bench.dispatch.look
    overtaking = ["3"]

    async def slow(name: str) -> Value | None:
        found = await look(name)
        if name == "volume" and overtaking:
            await bench.dispatch.request("PUT", name, overtaking.pop())
        return found

    monkeypatch.setattr(bench.dispatch, "look", slow)
    assert await bench.look() == [("switch", False), ("power", 80)]
    assert await bench.look() == []


async def test_what_a_family_has_set_is_told_at_each_start_as_the_card_has_it_now() -> None:
    loudness = LoudBench().loudness
    told: list[tuple[str, Value]] = []

    async def report(name: str, value: Value) -> None:
        told.append((name, value))

    dispatch = Dispatch([VolumeLimitsPoint(loudness)], report)
    before = Watcher(dispatch, report)
    await before.poll()
    await loudness.put_limits("max=12")
    await before.poll()
    await before.poll()
    # A start on a card that has lost them.
    damaged = Dispatch([VolumeLimitsPoint(LoudBench().loudness)], report)
    await Watcher(damaged, report).poll()
    assert [value for _, value in told] == [
        "max=16 min=0 start=last", "max=12 min=0 start=last", "max=16 min=0 start=last",
    ]  # fmt: skip


@pytest.mark.parametrize("point", [VolumeLimitsPoint, PlayModePoint, RulesPoint])
def test_what_is_kept_on_the_card_is_looked_at(point: type[DataPoint]) -> None:
    assert point.is_polled.fget(object()) is True  # type: ignore[attr-defined]  # a property of the class
