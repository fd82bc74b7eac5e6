"""The data point ``night``: a limit of the volume by local time."""

from __future__ import annotations

from typing import ClassVar

from resources.datapoint import DataPoint
from resources.loudness.loudness import Loudness
from resources.loudness.night import show_night
from wire.datapoints import Value
from wire.story_points import NIGHT


class NightPoint(DataPoint):
    """The night's limit, as ``21:00-06:30 max=5``, or ``off``."""

    description: ClassVar = NIGHT

    def __init__(self, loudness: Loudness) -> None:
        """Limit ``loudness``."""
        self._loudness = loudness

    async def get(self) -> str:
        """Return the night's limit."""
        return show_night(self._loudness.night)

    async def put(self, value: Value) -> None:
        """Set it; raises FieldError, UnavailableError."""
        await self._loudness.put_night(str(value))
