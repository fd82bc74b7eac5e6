"""The data point ``rules``, the parents' rules; its grammar is `wire.rules`."""

from __future__ import annotations

from typing import ClassVar

from resources.datapoint import DataPoint
from resources.times.keeper import Keeper
from wire.datapoints import Value
from wire.rules import parse_rules
from wire.story_points import RULES


class RulesPoint(DataPoint):
    """Sets the parents' rules; tells those that are in force."""

    description: ClassVar = RULES

    def __init__(self, keeper: Keeper) -> None:
        """Give orders to ``keeper``."""
        self.keeper = keeper

    async def get(self) -> str:
        """Return the rules in force, ``off`` for none."""
        return str(self.keeper.evening.rules.rules)

    async def put(self, value: Value) -> None:
        """Set the rules; raises FieldError, UnavailableError."""
        await self.keeper.order_rules(parse_rules(str(value)))
