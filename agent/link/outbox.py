"""The outbox: keeps reports until the cloud has answered them, on disk as far as the disk takes them.

Once `put` has returned, the report survives a power cut; where the disk is full, read-only or damaged,
reports wait in memory instead, and `status` says so. Delivery is at least once. Above the byte limit
the oldest data-point reports are dropped; reports on updates and identity never are, nor is the newest
value of a data point.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from agent.link.outbox_disk import DiskError
from agent.link.outbox_store import NotStoredError, Report, Store

__all__ = ["Outbox", "OutboxError", "Report"]

# Seconds after which what is delivered is deleted, if no other write has done it, and what is in
# memory is tried on the disk again.
TEND_SECONDS = 10.0

_T = TypeVar("_T")


class OutboxError(RuntimeError):
    """The disk does not take or give reports: full, read-only, or failing."""


class Outbox:
    """The queue; SQLite runs in its own thread, so fsync does not block the loop."""

    def __init__(self, path: Path, max_bytes: int, *, now: Callable[[], float] = time.time) -> None:
        """Store the queue in the file ``path``, up to ``max_bytes`` of reports (plus 1 %).

        ``now`` is the time of day that reports are marked with, Unix seconds.
        """
        self._path = path
        self._store = Store(path, max_bytes, now, time.monotonic)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self.filled = asyncio.Event()
        self.emptied = asyncio.Event()
        self._untidy = asyncio.Event()
        self._closed = False
        self._puts = 0

    @property
    def dropped(self) -> int:
        """The number of reports that were dropped for the byte limit since the start."""
        return self._store.dropped

    def status(self) -> dict[str, object]:
        """Return what there is to tell: numbers of reports, and why some are in memory only."""
        return self._store.status()

    async def open(self) -> str | None:
        """Open or create the file; return why reports are kept in memory, None if they are not.

        A damaged file is rebuilt of what can be read in it; the loss is logged and reported.
        """
        try:
            await self._run(self._store.open)
        except OutboxError as error:
            return str(error)
        finally:
            if self._store.waiting:
                self.filled.set()
        return None

    async def put(self, key: str, value: object, *, once: str | None = None) -> bool:
        """Queue the report ``{key: value}``; it is on disk when this returns, if the disk takes it.

        ``once`` is a unique name: a second report with the same name is not queued, even after a
        restart or after delivery. Returns whether it was queued.

        Raises:
            OutboxError: a report with a ``once`` name is in memory only. It is sent as soon as there
                is a link, and stored as soon as the disk takes it; a power cut may lose it.
        """
        self._puts += 1
        try:
            return await self._run(self._store.put, key, value, once)
        finally:
            # Also when cancelled, because the thread still completes the write.
            self.emptied.clear()
            self.filled.set()

    async def take(self, limit: int = 1, *, in_order: bool = True) -> list[Report]:
        """Return up to ``limit`` reports to send next, without removing them; [] if none waits.

        ``in_order``: the oldest first. Else those on updates and identity come first, then the
        newest value of each data point, then the rest. Raises OutboxError.
        """
        while True:
            puts = self._puts
            found = await self._take(limit, in_order=in_order)
            if found:
                return found
            self.filled.clear()
            if puts == self._puts:  # else a report may have been queued behind the query
                self.emptied.set()
                return found

    async def _take(self, limit: int, *, in_order: bool) -> list[Report]:
        return await self._run(lambda: self._store.take(limit, in_order=in_order))

    async def finish(self, reports: Sequence[Report], *, at_once: bool = True) -> None:
        """Remove reports that the cloud has answered; nothing is raised if the disk refuses.

        ``at_once``: else they are deleted within `TEND_SECONDS`, with other writes, because the
        cloud drops what a kill in between makes us repeat.
        """
        await self._run(lambda: self._store.finish(reports, at_once=at_once))

    async def drop_late(self, reports: Sequence[Report]) -> None:
        """Drop reports whose data point's newer value the cloud has, for one that shows the last to come."""
        await self._run(self._store.drop_late, reports)

    async def depth(self) -> int:
        """Return the number of queued reports."""
        return await self._run(lambda: self._store.waiting)

    async def tend(self) -> None:
        """Delete what is delivered, and store what memory holds, until cancelled; while there is neither, wait for it."""
        while True:
            await self._untidy.wait()
            await asyncio.sleep(TEND_SECONDS)
            self._untidy.clear()
            await self._run(self._store.tend)

    async def close(self) -> None:
        """Write what is left and close the file; queued reports stay in it. A second call does nothing."""
        if not self._closed:
            await self._run(self._store.close)
            self._closed = True
            self._thread.shutdown()

    async def _run(self, work: Callable[..., _T], *arguments: object) -> _T:
        if self._closed:
            raise OutboxError(f"outbox {self._path}: closed")
        doing = asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        doing.add_done_callback(self._note_done)
        try:
            return await asyncio.shield(doing)
        except (DiskError, NotStoredError) as error:
            raise OutboxError(f"outbox {self._path}: {error}") from error

    def _note_done(self, done: asyncio.Future[Any]) -> None:
        """Note what work has left for `tend`."""
        if not done.cancelled():
            done.exception()  # if the caller was cancelled, asyncio would log it as never retrieved
        if not self._store.is_tidy:
            self._untidy.set()
