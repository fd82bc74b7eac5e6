"""Polls the data points and reports values that change by themselves (battery, volume knob).

It reads every readable number and switch regularly, and all that packages add; a value that was reported last is not repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from resources.datapoint import DataPoint
from resources.dispatch import Dispatch
from wire.codes import Code
from wire.datapoints import DataType, Method, Value, parse_value

# A battery loses about 1 % in three minutes; a knob may be reported a minute late.
WATCH_SECONDS = 60.0

_log = logging.getLogger(__name__)

ChangeListener = Callable[[str, Value], Awaitable[None]]


class Watcher:
    """Polls data points; remembers the value last reported of each."""

    def __init__(self, dispatch: Dispatch, on_change: ChangeListener) -> None:
        """Poll the data points of ``dispatch``; ``on_change`` reports a value."""
        self._dispatch = dispatch
        self._on_change = on_change
        self._reported: dict[str, Value] = {}
        self._notes: Counter[str] = Counter()

    def note_reported(self, name: str, value: Value) -> None:
        """Record a value that was reported by other means."""
        self._reported[name] = value
        self._notes[name] += 1

    async def run(self) -> None:
        """Poll until cancelled; the first poll reports all values."""
        while True:
            await self.poll()
            await asyncio.sleep(WATCH_SECONDS)

    async def poll(self) -> None:
        """Poll once and report each changed value; skip values that cannot be read."""
        for name, point in self._dispatch.points.items():
            if not _is_watched(point):
                continue
            notes = self._notes[name]
            answer = await self._dispatch.request(Method.GET, name)
            if self._notes[name] != notes:
                # An order came meanwhile: what was read may be older than what it has reported.
                continue
            if answer.code is not Code.CONTENT:
                _log.debug("%s cannot be read: %s", name, answer.text)
                continue
            value = parse_value(point.description, answer.text)
            if self._reported.get(name) != value:
                self._reported[name] = value
                await self._on_change(name, value)


def _is_watched(point: DataPoint) -> bool:
    """Return whether to poll a data point; our strings are reported by what changes them."""
    description = point.description
    return Method.GET in description.methods and (
        point.is_polled or description.type is not DataType.STRING
    )
