"""Measures the titles' loudness one by one while the machine has nothing else to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from machine.errors import RefusedError, UnavailableError
from machine.measure import Measured
from resources.loudness.equal import gain_by_others, gain_of
from resources.loudness.gain_index import GainIndex
from resources.playing.queue import Track
from wire.errors import show

# The machine has been idle for so long before the first title is measured: a child that goes on
# listening must not wait for a processor.
IDLE_SECONDS = 120.0
# How often it is asked whether something plays while a title is measured.
LOOK_SECONDS = 0.25
# After all titles: when the card is looked through again for new ones.
AGAIN_SECONDS = 600.0

_log = logging.getLogger(__name__)


class Measurer:
    """Gives each title its gain, and measures those that have none."""

    def __init__(
        self,
        index: GainIndex,
        tracks: Callable[[], Sequence[Track]],
        measure: Callable[[str], Awaitable[Measured]],
        is_busy: Callable[[], bool],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Measure ``tracks``.

        Args:
            index: keeps what was measured.
            tracks: returns all files, the same object until one changes; it may read the card, and
                raises UnavailableError.
            measure: measures one file, and ends at once when it is cancelled.
            is_busy: whether something plays or is loaded.
            sleep: waits; for tests.
        """
        self._index = index
        self._tracks = tracks
        self._measure = measure
        self._is_busy = is_busy
        self._sleep = sleep
        self._done: Sequence[Track] | None = None

    async def gain_for(self, track: Track) -> float:
        """Return the gain of ``track`` in dB; it never fails."""
        return await asyncio.to_thread(self._gain, track)

    def _gain(self, track: Track) -> float:
        if track.is_file and (found := self._index.find(track.source)) is not None:
            return gain_of(found)
        return gain_by_others([gain_of(each) for each in self._index.neighbours(track.source)])

    async def run(self) -> None:
        """Measure whenever the machine is idle, until cancelled."""
        while True:
            await self._wait_until_idle()
            try:
                done = await self._pass()
            except UnavailableError as error:
                _log.info("%s", error)
                done = True
            if done:
                await self._sleep(AGAIN_SECONDS)

    async def close(self) -> None:
        """Close the index."""
        await asyncio.to_thread(self._index.close)

    async def _wait_until_idle(self) -> None:
        idle = 0.0
        while idle < IDLE_SECONDS:
            step = min(10.0, IDLE_SECONDS)
            await self._sleep(step)
            idle = 0.0 if self._is_busy() else idle + step

    async def _pass(self) -> bool:
        """Measure what is new; return False if something began to play meanwhile."""
        tracks = await asyncio.to_thread(self._tracks)
        if tracks is self._done:
            return True
        for source in await asyncio.to_thread(self._unknown, tracks):
            if self._is_busy() or not await self._measure_one(source):
                return False
        self._done = tracks
        return True

    def _unknown(self, tracks: Sequence[Track]) -> list[str]:
        self._index.make_room()
        return [track.source for track in tracks if not self._index.knows(track.source)]

    async def _measure_one(self, source: str) -> bool:
        """Measure one title; return False if it was given up because something plays."""
        task = asyncio.ensure_future(self._measure(source))
        try:
            while not task.done():
                await asyncio.wait([task], timeout=LOOK_SECONDS)
                if not task.done() and self._is_busy():
                    return False
            await asyncio.to_thread(self._index.keep, source, _result(task, source))
        finally:
            task.cancel()
            await asyncio.wait([task])
        return True


def _result(task: asyncio.Future[Measured], source: str) -> Measured | None:
    """Return what was measured, None if the title cannot be; raises UnavailableError."""
    try:
        return task.result()
    except RefusedError as error:
        _log.info("%s: %s", show(source), error)
        return None
