"""The data point ``listening``: the parents' hours and minutes of the microphone; its grammar is in `wire.rules`."""

from __future__ import annotations

from typing import ClassVar

from resources.datapoint import DataPoint
from resources.times.listening import ListeningTimes
from wire.datapoints import Value
from wire.story_points import LISTENING


class ListeningPoint(DataPoint):
    """Sets the rules of listening; tells those that are in force."""

    description: ClassVar = LISTENING

    def __init__(self, times: ListeningTimes) -> None:
        """Give orders to ``times``."""
        self.times = times

    @property
    def back_end(self) -> str:
        """Why the microphone stays closed now, if it does."""
        return self.times.refusal() or "may listen"

    async def get(self) -> str:
        """Return the rules in force, ``off`` for none; raises UnavailableError where they cannot be read."""
        return self.times.rules

    async def put(self, value: Value) -> None:
        """Set the rules; raises FieldError, UnavailableError."""
        await self.times.order(str(value))

    async def run(self) -> None:
        """Store what is counted until cancelled."""
        await self.times.run()

    async def close(self) -> None:
        """Store what was counted."""
        await self.times.close()
