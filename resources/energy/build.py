"""Makes the battery of the settings, and what watches it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from machine.battery import LITHIUM, Battery, BatteryKind, NoBattery, parse_curve
from machine.logind import PowerOff, StandInPowerOff
from machine.power_supply import SystemBattery
from resources.announce.voice import Voice
from resources.energy.meter import Meter
from resources.energy.settings import BatterySettings
from resources.playing.teller import Teller

if TYPE_CHECKING:
    from resources.energy.guard import BatteryGuard

Report = Callable[[str, int | bool], Awaitable[None]]
"""Reports a data point's new value."""

FIRST_SECONDS = 10.0
# A story must not end like a power cut; the battery has minutes left.
FADE_SECONDS = 4.0


def build_battery(settings: BatterySettings) -> Battery:
    """Return the gauge that the settings name; it is not looked for here, but at each reading."""
    match settings.kind:
        case BatteryKind.NONE:
            return NoBattery()
        case BatteryKind.AUTO | BatteryKind.SYSFS:
            return SystemBattery(required=settings.kind is BatteryKind.SYSFS)
    return _build_gauge(settings)


def _build_gauge(settings: BatterySettings) -> Battery:
    # Imported here: few machines have one.
    from machine.gauges import (  # noqa: PLC0415
        INA219,
        INA226,
        INA_ADDRESS,
        MAX17040_ADDRESS,
        InaGauge,
        Max17040,
    )
    from machine.i2c import I2cRegisters  # noqa: PLC0415

    bus = Path(f"/dev/i2c-{settings.bus}")
    if settings.kind is BatteryKind.MAX17040:
        return Max17040(I2cRegisters(bus, settings.address or MAX17040_ADDRESS))
    return InaGauge(
        I2cRegisters(bus, settings.address or INA_ADDRESS),
        INA219 if settings.kind is BatteryKind.INA219 else INA226,
        cells=settings.cells,
        curve=parse_curve(settings.curve, "battery.curve") if settings.curve else LITHIUM,
        shunt_ohms=settings.shunt_ohms,
        charging=settings.charging,
    )


async def watch_battery(
    settings: BatterySettings,
    meter: Meter,
    teller: Teller,
    voice: Voice,
    report: Report,
    power_off: PowerOff | None,
) -> None:
    """Watch ``meter`` until cancelled; see `build_guard`. The start, and what a child orders first, go before it."""
    await asyncio.sleep(FIRST_SECONDS)
    await build_guard(settings, meter, teller, voice, report, power_off).run()


def build_guard(
    settings: BatterySettings,
    meter: Meter,
    teller: Teller,
    voice: Voice,
    report: Report,
    power_off: PowerOff | None,
) -> BatteryGuard:
    """Return what acts on the charge; without ``power_off`` it only warns.

    A story ends through ``teller``, which keeps its place, and what is said is said by ``voice``.
    """
    from resources.energy.guard import BatteryGuard, Means  # noqa: PLC0415  # after the start
    from resources.energy.policy import Levels, Policy  # noqa: PLC0415

    async def end_story() -> None:
        await teller.fade_out(FADE_SECONDS)
        await teller.stop()

    levels = Levels(
        settings.warn_percent, settings.warn_again_percent, settings.off_percent if power_off else 0
    )
    means = Means(voice.say, end_story, power_off or StandInPowerOff(), report)
    return BatteryGuard(meter, Policy(levels), means)
