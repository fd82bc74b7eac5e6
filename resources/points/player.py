"""The data point ``player``: what plays, where, and what stands around it. ``resources.playing.told`` makes the text."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

from resources.datapoint import DataPoint
from resources.playing.events import Ended, Event, Refused
from resources.playing.orders import parse_position
from resources.playing.teller import Teller
from resources.playing.told import render
from wire.datapoints import Value
from wire.story_points import PLAYER

# Seconds between two reports. A child that presses a button ten times is one change.
REPORT_SECONDS = 1.0

ChangeListener = Callable[[str, Value], Awaitable[None]]


class PlayerPoint(DataPoint):
    """Tells what plays, reports when that changes, and goes to a place in it."""

    description: ClassVar = PLAYER

    def __init__(self, teller: Teller, on_change: ChangeListener) -> None:
        """Tell of ``teller``; ``on_change`` reports a value that no request has set."""
        self._teller = teller
        self._on_change = on_change
        self._changed = asyncio.Event()
        teller.subscribe(self._note)

    async def get(self) -> str:
        """Return the JSON object."""
        return render(await self._teller.snapshot())

    async def put(self, value: Value) -> None:
        """Go to ``{"position": seconds}``; raises FieldError, RefusedError."""
        await self._teller.obey(parse_position(str(value)))

    async def run(self) -> None:
        """Report changes, not each second of a story, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._on_change(self.description.name, await self.get())
            await asyncio.sleep(REPORT_SECONDS)

    def _note(self, event: Event) -> None:
        # What comes after an end tells what is there now.
        if not isinstance(event, Refused | Ended):
            self._changed.set()
