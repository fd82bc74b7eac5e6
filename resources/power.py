"""The data point ``power``: the battery's charge in percent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from resources.datapoint import DataPoint
from resources.errors import UnavailableError
from wire.datapoints import DataPointDescription, DataType, Method, Range

# Kernel documentation, ABI/testing/sysfs-class-power.
POWER_SUPPLY = Path("/sys/class/power_supply")


def find_battery(folder: Path = POWER_SUPPLY) -> Path | None:
    """Return the first battery that powers the machine and reports its charge, or None."""
    for supply in sorted(folder.glob("*")):
        # A wireless mouse's battery has scope "Device"; the machine's own has none or "System".
        foreign = _read(supply / "scope") == "Device"
        if _read(supply / "type") == "Battery" and not foreign and (supply / "capacity").exists():
            return supply
    return None


def _read(path: Path) -> str:
    """Return an attribute's text, "" if it is missing or cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


class PowerPoint(DataPoint):
    """The data point ``power``; reads the battery at each request."""

    description: ClassVar = DataPointDescription(
        name="power",
        type=DataType.INT,
        label="电量",
        description="查询电量",
        pattern=Range(0, 100),
        methods=(Method.GET,),
    )

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
        # In a thread, because some fuel gauges are on a slow I2C bus.
        return await asyncio.to_thread(_read_percent, self._battery / "capacity")


def _read_percent(path: Path) -> int:
    try:
        return min(100, max(0, int(path.read_text())))
    except (OSError, ValueError) as error:
        raise UnavailableError(f"power: the battery cannot be read: {error}") from error
