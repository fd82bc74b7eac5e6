"""The data point ``power``: the battery's charge in percent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from machine.battery import read_charge
from resources.datapoint import DataPoint
from wire.story_points import POWER


class PowerPoint(DataPoint):
    """The data point ``power``; reads the battery at each request."""

    description: ClassVar = POWER

    def __init__(self, battery: Path | None) -> None:
        """Read ``battery``, a folder under /sys/class/power_supply; None means mains (100 %)."""
        self._battery = battery

    @property
    def back_end(self) -> str:
        """The battery in use."""
        if self._battery is None:
            return "no battery found: power is answered as 100 (mains)"
        return f"battery: {self._battery.name}"

    async def get(self) -> int:
        """Return the charge in percent; raises UnavailableError if it cannot be read."""
        if self._battery is None:
            return 100
        # Some fuel gauges answer over a slow I2C bus: not in the event loop.
        return await asyncio.to_thread(read_charge, self._battery)
