"""The battery of the settings."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from machine import i2c
from machine.battery import BatteryKind, Charge
from resources.announce.announcer import Announcer
from resources.announce.files import SoundFiles
from resources.announce.settings import Language, SoundsSettings
from resources.announce.voice import Voice
from resources.energy.build import build_battery, build_guard
from resources.energy.meter import Meter
from resources.energy.settings import BatterySettings
from resources.playing.teller import SILENT_DB
from tests.resources.parts import DEADLINE, Bench

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
FADE_SECONDS = 4.0
READINGS = 3


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("auto", "no battery found: power is answered as 100 (mains)"),
        ("sysfs", "no battery found: power is unknown"),
        ("none", "no battery: power is answered as 100 (mains)"),
        ("max17040", "battery: MAX17040"),
        ("ina219", "battery: INA219"),
        ("ina226", "battery: INA226"),
    ],
)
def test_each_kind_is_made(kind: str, name: str) -> None:
    assert build_battery(BatterySettings(BatteryKind(kind))).name == name


@pytest.mark.parametrize("kind", [BatteryKind.MAX17040, BatteryKind.INA219, BatteryKind.INA226])
def test_a_gauge_without_its_bus_is_unknown(kind: BatteryKind) -> None:
    charge = build_battery(BatterySettings(kind, bus=254, curve="3.0:0 4.2:100")).read()
    assert charge.percent is None
    assert charge.fault.endswith("No such file or directory")


@pytest.mark.parametrize(
    ("kind", "address", "asked"),
    [
        (BatteryKind.MAX17040, 0, 0x36),
        (BatteryKind.INA219, 0, 0x40),
        (BatteryKind.INA226, 0, 0x40),
        (BatteryKind.INA219, 0x43, 0x43),
    ],
)
def test_a_gauge_is_asked_where_its_data_sheet_or_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, kind: BatteryKind, address: int, asked: int
) -> None:
    made: list[tuple[Path, int]] = []
    monkeypatch.setattr(i2c, "I2cRegisters", lambda bus, at: made.append((bus, at)))
    build_battery(BatterySettings(kind, bus=3, address=address))
    assert made == [(Path("/dev/i2c-3"), asked)]


class Gauge:
    """A battery that the test sets."""

    name = "battery: test"

    def __init__(self, percent: int) -> None:
        self.percent = percent

    def read(self) -> Charge:
        return Charge(self.percent, powered=False)


class Switch:
    """A power-off that is noted."""

    name = "test"

    def __init__(self, log: list[str]) -> None:
        self._log = log

    async def check(self) -> None:
        pass

    async def power_off(self) -> None:
        self._log.append("off")


class Mute:
    """A player for cues that notes them."""

    name = "mute"

    def __init__(self, log: list[str]) -> None:
        self._log = log

    async def play(self, path: Path, gain: float) -> None:
        del gain
        self._log.append(path.stem)


async def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("armed", "done"), [(True, ["battery-empty", "off"]), (False, ["low-battery"])]
)
async def test_an_empty_battery_ends_the_story_and_powers_off_where_that_is_armed(
    tmp_path: Path, done: list[str], *, armed: bool
) -> None:
    bench = Bench(tmp_path / "media", "a", "b")
    await bench.teller.order("a")
    log: list[str] = []
    reported: list[tuple[str, int | bool]] = []

    async def report(name: str, value: int | bool) -> None:  # noqa: FBT001
        reported.append((name, value))

    voice = Voice(SoundsSettings(language=Language.CHINESE), nothing)
    voice.announcer = Announcer(Mute(log), SoundFiles(tmp_path, Language.CHINESE))
    guard = build_guard(
        BatterySettings(), Meter(Gauge(4)), bench.teller, voice, report,
        Switch(log) if armed else None,
    )  # fmt: skip
    async with asyncio.timeout(DEADLINE):
        for _ in range(READINGS):
            await guard.look()
        while log != done:
            await asyncio.sleep(0)
    assert reported == [("power", 4)]
    assert bench.player.fades == ([(SILENT_DB, FADE_SECONDS)] if armed else [])
    assert bench.teller.playing is not armed
