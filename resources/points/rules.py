"""The data point ``rules``, the parents' rules; its grammar is `wire.rules`."""

from __future__ import annotations

from typing import ClassVar

from resources.datapoint import DataPoint
from resources.times.times import Times
from wire.datapoints import Value
from wire.story_points import RULES


class RulesPoint(DataPoint):
    """Sets the parents' rules; tells those that are in force."""

    description: ClassVar = RULES

    def __init__(self, times: Times) -> None:
        """Give orders to ``times``."""
        self._times = times

    @property
    def is_polled(self) -> bool:
        """True: a damaged card gives the defaults at a start, and the cloud would show what was set before."""
        return True

    async def get(self) -> str:
        """Return the rules in force, ``off`` for none."""
        return self._times.rules

    async def put(self, value: Value) -> None:
        """Set the rules; raises FieldError, UnavailableError."""
        await self._times.order_rules(str(value))
