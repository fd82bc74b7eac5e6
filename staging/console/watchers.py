"""Live pages: their watchers, and server-sent events.

A watcher has no queue of events, but the set of devices that changed since it was last read. So a
slow browser costs a bounded set and still misses nothing: events are read from the store when the
browser can receive them. A report's timestamp is its event's id, and a browser that reconnects gets
the reports after it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

# With more changed devices, a watcher assumes that all may have changed.
DIRTY_LIMIT = 256
WATCHERS_LIMIT = 256
# Of one account: more pages than a person watches, and a tenth of what there is for all.
WATCHERS_EACH = 24


class TooManyWatchersError(Exception):
    """The maximum number of live pages is open."""


@dataclass(eq=False, slots=True)
class Watcher:
    """One open page, and the devices that changed since its last `take`."""

    uuid: str | None
    """The device to watch; None: all devices."""
    dirty: set[str] = field(default_factory=set)
    everything: bool = False
    closed: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, uuid: str) -> None:
        """Record that a device changed."""
        if len(self.dirty) >= DIRTY_LIMIT:
            self.everything = True
            self.dirty.clear()
        if not self.everything:
            self.dirty.add(uuid)
        self._changed.set()

    def wake(self) -> None:
        """Wake the stream."""
        self._changed.set()

    def close(self) -> None:
        """Wake the stream and make it end."""
        self.closed = True
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Wait until something has changed, at most for ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def take(self) -> set[str] | None:
        """Return the changed devices and reset them; None: any may have changed."""
        taken = None if self.everything else set(self.dirty)
        self.dirty.clear()
        self.everything = False
        if not self.closed:
            self._changed.clear()
        return taken


class Hub:
    """All watchers; `notify` is the callback for `Gateway.watch`, called in the event loop."""

    def __init__(self, limit: int = WATCHERS_LIMIT) -> None:
        """Allow at most ``limit`` watchers at a time."""
        self._watchers: set[Watcher] = set()
        self._of: Counter[int] = Counter()
        self._limit = limit
        self._closed = False

    def is_full(self, account_id: int) -> bool:
        """Return whether no more watchers of an account are accepted."""
        full = len(self._watchers) >= self._limit or self._of[account_id] >= WATCHERS_EACH
        return self._closed or full

    @contextmanager
    def watch(self, uuid: str | None, account_id: int) -> Iterator[Watcher]:
        """Watch one device, or all, until the block ends; raises TooManyWatchersError."""
        if self.is_full(account_id):
            raise TooManyWatchersError("too many live pages are open")
        watcher = Watcher(uuid)
        self._watchers.add(watcher)
        self._of[account_id] += 1
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            self._of[account_id] -= 1

    def notify(self, uuid: str) -> None:
        """Notify the watchers of a device that it changed."""
        for watcher in self._watchers:
            if watcher.uuid in {None, uuid}:
                watcher.note(uuid)

    def wake(self) -> None:
        """Let every stream look whether its session still is."""
        for watcher in self._watchers:
            watcher.wake()

    def close(self) -> None:
        """End every stream and accept no more, because the server stops."""
        self._closed = True
        for watcher in self._watchers:
            watcher.close()
