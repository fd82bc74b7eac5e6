"""Notices values that change by themselves (the battery, a volume knob) and reports them.

Looks at each readable number and switch regularly; what was reported last is not reported again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from resources.datapoint import DataPoint
from resources.dispatch import Dispatch
from wire.codes import Code
from wire.datapoints import DataType, Method, Value, parse_value

# A battery loses about a percent in three minutes; a knob may be told of a minute late.
WATCH_SECONDS = 60.0

_log = logging.getLogger(__name__)

ChangeListener = Callable[[str, Value], Awaitable[None]]


class Watcher:
    """Remembers what the cloud was told last."""

    def __init__(self, dispatch: Dispatch, on_change: ChangeListener) -> None:
        """Look at the data points of ``dispatch``; ``on_change`` reports."""
        self._dispatch = dispatch
        self._on_change = on_change
        self._told: dict[str, Value] = {}

    def told(self, name: str, value: Value) -> None:
        """Note that the cloud was told a value on another occasion."""
        self._told[name] = value

    async def run(self) -> None:
        """Look until cancelled; the first look tells the values after the start."""
        while True:
            await self.look()
            await asyncio.sleep(WATCH_SECONDS)

    async def look(self) -> None:
        """Report each value that differs from what was told; one that cannot be read is passed over."""
        for name, point in self._dispatch.points.items():
            if not _is_watched(point):
                continue
            answer = await self._dispatch.request(Method.GET, name)
            if answer.code is not Code.CONTENT:
                _log.debug("%s cannot be read: %s", name, answer.text)
                continue
            value = parse_value(point.description, answer.text)
            if self._told.get(name) != value:
                self._told[name] = value
                await self._on_change(name, value)


def _is_watched(point: DataPoint) -> bool:
    """Texts change with what they name, and whoever changes them says so."""
    description = point.description
    return Method.GET in description.methods and description.type is not DataType.STRING
