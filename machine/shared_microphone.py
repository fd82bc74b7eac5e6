"""One recording for several listeners: the wake word's, and whoever is listened to after it.

A card of ALSA can be opened once, and opening it takes half a second in which a child has spoken. So what listens
for the wake word leaves the microphone open, and what listens to the sentence joins: it may ask for the sound
since the word. The microphone closes when the last one leaves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from base.backoff import Backoff
from base.tasks import ended
from machine.capture_child import BLOCK_SECONDS
from machine.light import Light
from machine.microphone import BackEnd, Microphone, MicrophoneError, Take
from wire.records import dataclass

# A wake word is known 0.1 to 0.3 s after its end; more is kept for a machine that is busy just then.
KEPT_SECONDS = 1.5

Tell = Callable[[MicrophoneError], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Listener:
    take: Take
    tell: Tell


class SharedMicrophone(Microphone):
    """A microphone that several may keep open at a time; each gets every block from then on."""

    def __init__(
        self,
        back_end: BackEnd,
        *,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        light: Light | None = None,
    ) -> None:
        """Record with ``back_end``; as in `Microphone`."""
        super().__init__(back_end, backoff=backoff, sleep=self._wait_or_join, light=light)
        self._between_tries = sleep
        self._listeners: list[_Listener] = []
        self._recording: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._joined = asyncio.Event()
        self._kept: deque[bytes] = deque(maxlen=round(KEPT_SECONDS / BLOCK_SECONDS))
        self.blocks = 0
        """How many came since the start of the program."""

    def since(self, number: int) -> tuple[bytes, ...]:
        """Return the blocks after the first ``number``, as far as they are still kept."""
        count = min(len(self._kept), max(0, self.blocks - number))
        return tuple(self._kept)[len(self._kept) - count :]

    async def keep_open(self, take: Take, tell: Tell) -> None:
        """Give every block to ``take`` and every fault to ``tell`` until cancelled, beside whoever does so.

        If this was the last one, the child has ended when this returns or raises.
        """
        while self._closing is not None:  # a card can be opened once
            await asyncio.wait([self._closing])
        listener = _Listener(take, tell)
        self._listeners.append(listener)
        self._joined.set()
        try:
            if self._recording is None or self._recording.done():
                self._recording = asyncio.create_task(
                    super().keep_open(self._spread, self._tell_all)
                )
            await asyncio.wait([self._recording])
            self._recording.result()
        finally:
            self._listeners.remove(listener)
            if not self._listeners:
                await self._close()

    async def _close(self) -> None:
        """End the recording; whoever comes meanwhile begins a new one."""
        recording, self._recording = self._recording, None
        self._kept.clear()
        if recording is not None:
            self._closing = recording
            try:
                await ended(recording)
            finally:
                self._closing = None

    def _spread(self, block: bytes) -> None:
        self.blocks += 1
        self._kept.append(block)
        for listener in tuple(self._listeners):
            listener.take(block)

    def _tell_all(self, error: MicrophoneError) -> None:
        self._kept.clear()  # what comes next does not follow it
        for listener in tuple(self._listeners):
            listener.tell(error)

    async def _wait_or_join(self, seconds: float) -> None:
        """Wait between two tries; who joins meanwhile, as by a button, does not wait for the back-off."""
        self._joined.clear()
        waiting: asyncio.Future[Any] = asyncio.ensure_future(self._between_tries(seconds))
        joined: asyncio.Future[Any] = asyncio.create_task(self._joined.wait())
        try:
            await asyncio.wait([waiting, joined], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            joined.cancel()
