"""Live pages: who watches what, and server-sent events.

A watcher holds no queue of events but the set of devices that changed since it last looked, so a
slow browser costs a bounded set and still misses nothing: what it is sent is read from the store
when it can take it. Reports carry their timestamp as the event's id, and a browser that reconnects
is sent what came after it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

# Above it a watcher is told that everything may have changed.
DIRTY_LIMIT = 256
WATCHERS_LIMIT = 256


class TooManyWatchersError(Exception):
    """As many live pages are open as the cloud holds."""


@dataclass(eq=False, slots=True)
class Watcher:
    """One open page: which devices changed since it last looked."""

    uuid: str | None
    """The device that it is about, None: all of them."""
    dirty: set[str] = field(default_factory=set)
    everything: bool = False
    closed: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, uuid: str) -> None:
        """Remember that a device changed."""
        if len(self.dirty) >= DIRTY_LIMIT:
            self.everything = True
            self.dirty.clear()
        if not self.everything:
            self.dirty.add(uuid)
        self._changed.set()

    def close(self) -> None:
        """End the stream at its next look."""
        self.closed = True
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Return when something changed, or after so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def take(self) -> set[str] | None:
        """Return the devices that changed and forget them; None: any may have."""
        taken = None if self.everything else set(self.dirty)
        self.dirty.clear()
        self.everything = False
        if not self.closed:
            self._changed.clear()
        return taken


class Hub:
    """All watchers; `notify` is the gateway's watcher and must be called in the event loop."""

    def __init__(self, limit: int = WATCHERS_LIMIT) -> None:
        """Start with no watcher; at most ``limit`` at a time."""
        self._watchers: set[Watcher] = set()
        self._limit = limit
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether no more watchers are taken."""
        return self._closed or len(self._watchers) >= self._limit

    @contextmanager
    def watch(self, uuid: str | None) -> Iterator[Watcher]:
        """Watch one device or all; raises TooManyWatchersError."""
        if self.is_full:
            raise TooManyWatchersError("too many live pages are open")
        watcher = Watcher(uuid)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def notify(self, uuid: str) -> None:
        """Tell everybody whom it concerns that a device changed."""
        for watcher in self._watchers:
            if watcher.uuid in {None, uuid}:
                watcher.note(uuid)

    def close(self) -> None:
        """End every stream, because the server ends."""
        self._closed = True
        for watcher in self._watchers:
            watcher.close()


def event(name: str, data: object, event_id: int | None = None) -> bytes:
    """Render one server-sent event (WHATWG HTML, 9.2); JSON has no line breaks of its own."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {name}\ndata: {text}\n\n".encode()


def last_event_id(header: str | None) -> int | None:
    """Read the Last-Event-ID header of a browser that comes back; anything else counts as none."""
    text = (header or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
