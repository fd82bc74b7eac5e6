"""Where the bytes of a story are while it plays: on the disk, or the few around the place in memory."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Protocol, TypeVar

from resources.online.cache import Kept

# Bytes read ahead of the player: on the disk so that a network may be away for minutes, in memory
# little, since the player itself reads a minute ahead.
AHEAD_ON_DISK = 4 * 1024 * 1024
AHEAD_IN_MEMORY = 256 * 1024
# Bytes behind the player that memory holds, for a player that goes back a little.
BEHIND_IN_MEMORY = 128 * 1024

# One thread for all of it: each thread that reads pieces keeps memory of its own.
_DISK = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stories")

P = ParamSpec("P")
T = TypeVar("T")


async def on_disk(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Return the result of ``work``, which blocks, from the thread of the stories on the disk."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_DISK, functools.partial(work, *arguments, **options))


async def opened(
    work: Callable[P, Kept | None], *arguments: P.args, **options: P.kwargs
) -> OnDisk | None:
    """Return the story that ``work`` opens, None if it opens none; if the caller is cancelled meanwhile, it is closed.

    One that stayed open would be "in use" until the next start: it would not play without its server, nor be kept.
    """
    opening = _Opening(functools.partial(work, *arguments, **options))
    try:
        kept = await on_disk(opening.work)
    except asyncio.CancelledError:
        opening.give_up()
        raise
    return None if kept is None else OnDisk(kept)


class _Opening:
    """A story that is opened in the thread of the disk, for somebody who may give up."""

    def __init__(self, work: Callable[[], Kept | None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._is_given_up = False
        self._kept: Kept | None = None

    def work(self) -> Kept | None:
        """Open it, in the thread."""
        kept = self._work()
        with self._lock:
            self._kept = kept
            if not self._is_given_up or kept is None:
                return kept
        kept.close()
        return None

    def give_up(self) -> None:
        """Have it closed, before the thread does anything that is asked of it from now on."""
        with self._lock:
            self._is_given_up = True
            kept = self._kept
        if kept is not None:
            asyncio.get_running_loop().run_in_executor(_DISK, kept.close)


class Store(Protocol):
    """Bytes of one story."""

    keeps_all: bool
    """Whether bytes are worth keeping that nobody waits for."""
    ahead: int
    """How many bytes may be fetched ahead of the player."""

    def run(self, at: int) -> int:
        """Return how many bytes there are from ``at`` on without a gap."""

    async def read(self, at: int, size: int) -> bytes:
        """Return up to ``size`` of the bytes that are there from ``at`` on; raises OSError."""

    async def write(self, at: int, data: bytes, *, wanted: int) -> None:
        """Hold ``data`` from byte ``at`` on; ``wanted`` is the player's place. Raises OSError."""

    async def sync(self) -> None:
        """Make what is held durable, if it is to be; raises OSError."""

    async def close(self) -> None:
        """Let the bytes go, or the file they are in."""


class OnDisk:
    """A story that the cache keeps."""

    keeps_all = True
    ahead = AHEAD_ON_DISK

    def __init__(self, kept: Kept) -> None:
        """Use ``kept``, which is closed with this."""
        self._kept = kept
        self.record = kept.record
        """What is told of it."""
        self.is_outdated = kept.is_outdated
        """Whether another edition was being fetched when it was opened."""

    def run(self, at: int) -> int:
        """Return how many bytes there are from ``at`` on without a gap."""
        return self._kept.run(at)

    async def read(self, at: int, size: int) -> bytes:
        """Read from the disk, in a thread."""
        return await on_disk(self._kept.read, at, size)

    async def write(self, at: int, data: bytes, *, wanted: int) -> None:
        """Write to the disk, in a thread."""
        del wanted
        await on_disk(self._kept.write, at, data)

    async def sync(self) -> None:
        """Flush to the disk, in a thread."""
        await on_disk(self._kept.sync)

    async def close(self) -> None:
        """Close the file, also if the caller is cancelled meanwhile."""
        await asyncio.shield(on_disk(self._kept.close))


class InMemory:
    """A story that is not kept: a stream without end, or one that has no room on the disk."""

    keeps_all = False
    ahead = AHEAD_IN_MEMORY

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._first = 0
        self._bytes = bytearray()

    def run(self, at: int) -> int:
        """Return how many bytes there are from ``at`` on."""
        end = self._first + len(self._bytes)
        return end - at if self._first <= at < end else 0

    async def read(self, at: int, size: int) -> bytes:
        """Return what is held."""
        place = at - self._first
        return bytes(self._bytes[place : place + size]) if place >= 0 else b""

    async def write(self, at: int, data: bytes, *, wanted: int) -> None:
        """Hold ``data``; what is far behind ``wanted``, or does not touch it, is let go."""
        if at != self._first + len(self._bytes):
            self._first, self._bytes = at, bytearray()
        self._bytes += data
        behind = min(len(self._bytes), wanted - BEHIND_IN_MEMORY - self._first)
        if behind > BEHIND_IN_MEMORY:
            del self._bytes[:behind]
            self._first += behind

    async def sync(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Let everything go."""
        self._bytes = bytearray()
