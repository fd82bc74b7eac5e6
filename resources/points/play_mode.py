"""The data point ``play_mode``: what follows the end of a title."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

from resources.datapoint import DataPoint
from resources.playing.events import Changed, Event
from resources.playing.orders import SetMode
from resources.playing.queue import PlayMode
from resources.playing.teller import Teller
from wire.datapoints import Value
from wire.errors import FieldError
from wire.story_points import PLAY_MODE

ChangeListener = Callable[[str, Value], Awaitable[None]]


class PlayModePoint(DataPoint):
    """``order``, ``shuffle``, ``repeat-one`` or ``repeat-all``; kept over restarts."""

    description: ClassVar = PLAY_MODE

    def __init__(self, teller: Teller, on_change: ChangeListener) -> None:
        """Set the mode of ``teller``; ``on_change`` reports one that an order for a title has set."""
        self._teller = teller
        self._on_change = on_change
        self._changed = asyncio.Event()
        self._told: str | None = None
        teller.subscribe(self._note)

    @property
    def is_polled(self) -> bool:
        """True: a damaged card gives the defaults at a start, and the cloud would show what was set before."""
        return True

    async def get(self) -> str:
        """Return the mode."""
        await self._teller.memory.load()
        return self._teller.mode.value

    async def put(self, value: Value) -> None:
        """Set the mode; raises FieldError."""
        if value not in set(PlayMode):
            raise FieldError(self.description.name, value, "one of " + ", ".join(PlayMode))
        self._told = str(value)  # the request's report tells it
        await self._teller.obey(SetMode(PlayMode(str(value))))

    async def run(self) -> None:
        """Report a mode that was set in words (随机播放), until cancelled."""
        kept = await self.get()
        self._told = self._told or kept  # a request may have come meanwhile
        while True:
            await self._changed.wait()
            self._changed.clear()
            mode = await self.get()
            if mode != self._told:
                self._told = mode
                await self._on_change(self.description.name, mode)

    def _note(self, event: Event) -> None:
        if isinstance(event, Changed):
            self._changed.set()
