"""Polls the data points and reports values that change by themselves (battery, volume knob).

It reads every readable number and switch regularly, and all that packages add; a value that was reported last is not repeated.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from resources.datapoint import DataPoint
from resources.dispatch import Dispatch
from wire.datapoints import (
    DataPointDescription,
    DataType,
    Method,
    Value,
    format_value,
    parse_value,
)

# A battery loses about 1 % in three minutes; a knob may be reported a minute late.
WATCH_SECONDS = 60.0

ChangeListener = Callable[[str, Value], Awaitable[None]]


class Watcher:
    """Polls data points; remembers the value last reported of each."""

    def __init__(self, dispatch: Dispatch, on_change: ChangeListener) -> None:
        """Poll the data points of ``dispatch``; ``on_change`` reports a value."""
        self._dispatch = dispatch
        self._on_change = on_change
        self._reported: dict[str, Value] = {}
        self._notes: Counter[str] = Counter()
        self._names: Sequence[tuple[str, DataPointDescription]] | None = None

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
        for name, description in self._watched():
            notes = self._notes[name]
            found = await self._dispatch.look(name)
            # An order may have come meanwhile: what was read may be older than what it has reported.
            if found is None or self._notes[name] != notes:
                continue
            value = parse_value(description, format_value(found))
            if self._reported.get(name) != value:
                self._reported[name] = value
                await self._on_change(name, value)

    def _watched(self) -> Sequence[tuple[str, DataPointDescription]]:
        """Return the data points that are polled: the dispatch's are the same for as long as it lives."""
        if self._names is None:
            points = self._dispatch.points.items()
            self._names = [
                (name, point.description) for name, point in points if _is_watched(point)
            ]
        return self._names


def _is_watched(point: DataPoint) -> bool:
    """Return whether to poll a data point; our strings are reported by what changes them."""
    description = point.description
    return Method.GET in description.methods and (
        point.is_polled or description.type is not DataType.STRING
    )
