"""The data point ``volume``: 0 to 16."""

from __future__ import annotations

from typing import ClassVar

from resources.datapoint import DataPoint
from resources.loudness.build import Titles
from resources.loudness.loudness import Loudness
from wire.datapoints import Value
from wire.story_points import VOLUME


class VolumePoint(DataPoint):
    """The document's 17 steps; what they are and what limits them is `resources.loudness`."""

    description: ClassVar = VOLUME

    def __init__(self, loudness: Loudness, titles: Titles | None = None) -> None:
        """Control ``loudness``; ``titles`` are measured in the background."""
        self._loudness = loudness
        self._titles = titles

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

    def note_local(self) -> None:
        """Let hear how loud it is now, as after a turn of the mixer's own knob."""
        self._loudness.note_turn()

    async def run(self) -> None:
        """Measure the titles' loudness while nothing plays."""
        if self._titles is not None:
            await self._titles.run()

    async def close(self) -> None:
        """Close the mixer and the index of what was measured."""
        await self._loudness.close()
        if self._titles is not None:
            await self._titles.close()
