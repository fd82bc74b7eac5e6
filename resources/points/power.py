"""The data points ``power`` (the battery's charge) and ``charging`` (whether external power is there)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from machine.errors import UnavailableError
from resources.datapoint import DataPoint
from resources.energy.meter import Meter
from wire.story_points import CHARGING, POWER


class PowerPoint(DataPoint):
    """The data point ``power``; reads the battery when it is asked for."""

    description: ClassVar = POWER

    def __init__(self, meter: Meter) -> None:
        """Read ``meter``."""
        self._meter = meter

    @property
    def back_end(self) -> str:
        """The gauge in use."""
        return self._meter.name

    async def get(self) -> int:
        """Return the charge in percent; raises UnavailableError if it is unknown."""
        charge = await self._meter.recent()
        if charge.percent is None:
            raise UnavailableError(f"power: the battery cannot be read: {charge.fault}")
        return charge.percent


class ChargingPoint(DataPoint):
    """The data point ``charging``: true while external power feeds the machine."""

    description: ClassVar = CHARGING

    def __init__(self, meter: Meter, watch: Callable[[], Awaitable[None]] | None = None) -> None:
        """Read ``meter``; ``watch`` acts on it beside the requests."""
        self._meter = meter
        self._watch = watch

    @property
    def back_end(self) -> str:
        """The gauge in use."""
        return self._meter.name

    async def get(self) -> bool:
        """Return it; raises UnavailableError for a gauge that does not tell."""
        charge = await self._meter.recent()
        if charge.powered is None:
            raise UnavailableError(
                f"charging: unknown: {charge.fault or 'the gauge does not tell'}"
            )
        return charge.powered

    async def run(self) -> None:
        """Watch the battery until cancelled."""
        if self._watch is not None:
            await self._watch()
