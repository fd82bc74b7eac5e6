"""The data point ``temperature``: whole degrees Celsius of a DS18B20 on the 1-Wire bus."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import ClassVar

from machine.errors import UnavailableError
from resources.datapoint import DataPoint
from wire.datapoints import DataPointDescription, DataType, Method, Range

# What the chip can measure (DS18B20 datasheet, "Features").
LOWEST, HIGHEST = -55, 125
# Thousandths of a degree that it gives until it has measured for the first time (table 1 there).
NOT_MEASURED = 85_000
SENSORS = Path("/sys/bus/w1/devices")
# For a test, or a thermometer whose driver puts the same file elsewhere.
VARIABLE = "STORY_THERMOMETER"


class ThermometerPoint(DataPoint):
    """Reads the first sensor at each request."""

    description: ClassVar = DataPointDescription(
        name="temperature",
        type=DataType.INT,
        label="室温",
        description="房间的温度（摄氏度）",
        methods=(Method.GET,),
        pattern=Range(LOWEST, HIGHEST),
    )

    def __init__(self, folder: Path | None = None) -> None:
        """Look for sensors in ``folder``; None: where the kernel has them, or VARIABLE says."""
        self._folder = folder or Path(os.environ.get(VARIABLE, SENSORS))

    @property
    def back_end(self) -> str:
        """The sensor, for ``story-agent status``."""
        found = find_sensor(self._folder)
        return f"DS18B20 {found.name}" if found else f"no sensor 28-* in {self._folder}"

    async def get(self) -> int:
        """Return whole degrees Celsius; raises UnavailableError."""
        # The kernel waits 0.75 s for the chip: never in the event loop, which plays and listens.
        return await asyncio.to_thread(read_degrees, self._folder)


def find_sensor(folder: Path) -> Path | None:
    """Return the folder of the first sensor by its name, None if there is none."""
    return min(folder.glob("28-*"), default=None)


def read_degrees(folder: Path) -> int:
    """Return whole degrees Celsius; raises UnavailableError, which says why and what to do."""
    sensor = find_sensor(folder)
    if sensor is None:
        raise UnavailableError(f"no sensor 28-* in {folder}: dtoverlay=w1-gpio in config.txt turns the bus on")  # fmt: skip
    try:
        thousandths = int((sensor / "temperature").read_text("ascii"))
    except (OSError, ValueError) as error:
        raise UnavailableError(f"{sensor.name} cannot be read: {error}") from error
    if thousandths == NOT_MEASURED:
        raise UnavailableError(f"{sensor.name} has not measured yet: check its supply")
    return round(thousandths / 1000)
