"""Decodes utterances for the page off everybody else's way: one at a time, for a bounded time, and once each.

A page of ten utterances may hold twenty minutes of sound. What is not decoded in a page's time is shown
without its waveform, which is there when the page asks again; the event loop gets the interpreter in between.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from audio.wav import render_wav
from staging.console import shapes, sound
from staging.store.utterances import Utterance

# Seconds of decoding for one page, and for the sound of one utterance, which has two minutes at most.
PAGE_SECONDS, SOUND_SECONDS = 1.0, 5.0
# Pages that wait for the decoder; the next one is told to come again.
WAITING_LIMIT = 8
# Utterances whose waveforms are remembered: some 2 kB each.
KNOWN_LIMIT = 500

T = TypeVar("T")


class SoundBusyError(Exception):
    """The decoder cannot do it now."""


class Waveforms:
    """One console's decoder."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start without sounds; ``monotonic`` counts seconds."""
        self._monotonic = monotonic
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sound")
        self._waiting = 0
        self._known: OrderedDict[tuple[int, int, int, int], dict[str, Any]] = OrderedDict()

    async def shown(self, device_id: int, spoken: Sequence[Utterance]) -> list[dict[str, Any]]:
        """Return a device's utterances as the page has them; raises SoundBusyError."""
        return await self._run(lambda: self._shown(device_id, spoken))

    async def wav(self, spoken: Utterance) -> bytes:
        """Return an utterance as a WAV file; raises SoundBusyError."""
        return await self._run(lambda: self._wav(spoken))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_LIMIT:
            raise SoundBusyError("too many sounds are being decoded")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def _shown(self, device_id: int, spoken: Sequence[Utterance]) -> list[dict[str, Any]]:
        end = self._monotonic() + PAGE_SECONDS
        return [self._one(device_id, each, end) for each in spoken]

    def _one(self, device_id: int, spoken: Utterance, end: float) -> dict[str, Any]:
        name = (device_id, spoken.start, spoken.id, len(spoken.stored))
        known = self._known.get(name)
        if known is not None:
            self._known.move_to_end(name)
            return known
        try:
            decoded = sound.decode(spoken, lambda: self._monotonic() > end)
        except sound.TooLongError:
            return shapes.utterance(spoken, None)
        made = self._known[name] = shapes.utterance(spoken, decoded)
        while len(self._known) > KNOWN_LIMIT:
            self._known.popitem(last=False)
        return made

    def _wav(self, spoken: Utterance) -> bytes:
        end = self._monotonic() + SOUND_SECONDS
        try:
            return render_wav(sound.decode(spoken, lambda: self._monotonic() > end)[0])
        except sound.TooLongError as error:
            raise SoundBusyError("the sound takes too long to decode") from error
