"""The data point ``sleep_timer``; its grammar is `wire.sleep`."""

from __future__ import annotations

from typing import ClassVar

from resources.datapoint import DataPoint
from resources.times.keeper import Keeper
from wire.datapoints import Value
from wire.sleep import parse_timer
from wire.story_points import SLEEP_TIMER


class SleepTimerPoint(DataPoint):
    """Sets the sleep timer; tells what remains of it."""

    description: ClassVar = SLEEP_TIMER

    def __init__(self, keeper: Keeper) -> None:
        """Give orders to ``keeper``, whose work is done here."""
        self.keeper = keeper

    async def get(self) -> str:
        """Return ``off``, the minutes that are left, ``end``, or the stories that are yet to begin."""
        return str(self.keeper.evening.timer.remaining)

    async def put(self, value: Value) -> None:
        """Set the timer; raises FieldError, RefusedError."""
        await self.keeper.order_timer(parse_timer(str(value)))

    async def run(self) -> None:
        """Keep the time in the background."""
        await self.keeper.run()

    async def close(self) -> None:
        """Store what was played."""
        await self.keeper.close()
