"""The data point ``play``. The device keeps the queue; the cloud only sends orders."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from resources.announce.voice import Voice
from resources.datapoint import DataPoint
from resources.playing.teller import Teller
from wire.datapoints import Value
from wire.story_points import PLAY


class PlayPoint(DataPoint):
    """Plays titles, folders and URLs; continues with the next track of a folder by itself."""

    description: ClassVar = PLAY

    def __init__(self, teller: Teller, voice: Voice | None = None) -> None:
        """Give orders to ``teller``; ``voice`` says why one was refused."""
        self.teller = teller
        self.voice = voice
        self.order_said: Callable[[str], Awaitable[bool]] | None = None
        """Carries out a sentence that names nothing to play, or returns False: the sleep timer."""

    @property
    def back_end(self) -> str:
        """The player in use."""
        return self.teller.player.name

    async def get(self) -> str:
        """Return the title (or URL) of the loaded track, "" if there is none."""
        return self.teller.title

    async def put(self, value: Value) -> None:
        """Carry out an order, or play what ``value`` names; returns when it plays."""
        text = str(value)
        if self.order_said is None or not await self.order_said(text):
            await self.teller.order(text, reported=True)

    async def run(self) -> None:
        """Do the teller's work in the background."""
        await self.teller.run()

    async def close(self) -> None:
        """Stop playing, be silent, and close the player."""
        if self.voice is not None:
            await self.voice.close()
        await self.teller.close()
