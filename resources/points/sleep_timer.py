"""The data point ``sleep_timer``; its grammar is `wire.sleep`."""

from __future__ import annotations

from typing import ClassVar

from resources.datapoint import DataPoint
from resources.times.times import Times
from wire.datapoints import Value
from wire.story_points import SLEEP_TIMER


class SleepTimerPoint(DataPoint):
    """Sets the sleep timer; tells what remains of it."""

    description: ClassVar = SLEEP_TIMER

    def __init__(self, times: Times) -> None:
        """Give orders to ``times``, whose work is done here."""
        self.times = times

    async def get(self) -> str:
        """Return ``off``, the minutes that are left, ``end``, or the stories that are yet to begin."""
        return self.times.timer

    async def put(self, value: Value) -> None:
        """Set the timer; raises FieldError, RefusedError, UnavailableError."""
        await self.times.order_timer(str(value))

    async def run(self) -> None:
        """Keep the time in the background."""
        await self.times.run()

    async def close(self) -> None:
        """Store what was played."""
        await self.times.close()
