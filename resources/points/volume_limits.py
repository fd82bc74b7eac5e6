"""The data point ``volume_limits``: the loudest and quietest volume, and the one at the start."""

from __future__ import annotations

from typing import ClassVar

from resources.datapoint import DataPoint
from resources.loudness.loudness import Loudness
from wire.datapoints import Value
from wire.story_points import VOLUME_LIMITS


class VolumeLimitsPoint(DataPoint):
    """The limits by day, as ``max=12 min=0 start=6``."""

    description: ClassVar = VOLUME_LIMITS

    def __init__(self, loudness: Loudness) -> None:
        """Limit ``loudness``."""
        self._loudness = loudness

    @property
    def is_polled(self) -> bool:
        """True: a damaged card gives the defaults at a start, and the cloud would show what was set before."""
        return True

    async def get(self) -> str:
        """Return all three limits."""
        return str(self._loudness.limits)

    async def put(self, value: Value) -> None:
        """Set those that ``value`` names; raises FieldError, UnavailableError."""
        await self._loudness.put_limits(str(value))
