"""The data point ``volume``: 0 to 16."""

from __future__ import annotations

from typing import ClassVar

from resources.datapoint import DataPoint
from resources.loudness.loudness import Loudness
from wire.datapoints import Value
from wire.story_points import VOLUME


class VolumePoint(DataPoint):
    """The document's 17 steps; what they are and what limits them is `resources.loudness`."""

    description: ClassVar = VOLUME

    def __init__(self, loudness: Loudness) -> None:
        """Control ``loudness``."""
        self._loudness = loudness

    @property
    def back_end(self) -> str:
        """The mixer in use."""
        return self._loudness.name

    async def get(self) -> int:
        """Read the level from the mixer, because a knob on the machine may have changed it."""
        return await self._loudness.get()

    async def put(self, value: Value) -> None:
        """Set the volume; raises RefusedError beyond the limits, UnavailableError."""
        await self._loudness.set(int(value))

    async def close(self) -> None:
        """Close the mixer."""
        await self._loudness.close()
