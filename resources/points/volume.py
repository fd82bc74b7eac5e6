"""The data point ``volume``: 0 to 16."""

from __future__ import annotations

from typing import ClassVar

from machine.mixers import Mixer
from resources.datapoint import DataPoint
from wire.datapoints import Value
from wire.story_points import VOLUME, VOLUME_RANGE


class VolumePoint(DataPoint):
    """Maps the document's 17 steps to the mixer's range."""

    description: ClassVar = VOLUME

    def __init__(self, mixer: Mixer) -> None:
        """Control ``mixer``."""
        self._mixer = mixer

    @property
    def back_end(self) -> str:
        """The mixer in use."""
        return self._mixer.name

    async def get(self) -> int:
        """Read the level from the mixer, because a knob on the machine may have changed it."""
        return round(await self._mixer.get() * VOLUME_RANGE.high)

    async def put(self, value: Value) -> None:
        """Set the mixer's level."""
        await self._mixer.set(int(value) / VOLUME_RANGE.high)

    async def close(self) -> None:
        """Close the mixer."""
        await self._mixer.close()
