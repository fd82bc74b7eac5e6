"""The wire log of devices: which are watched, and their last frames. No I/O.

Nothing is kept of a device that nobody watches. A watch ends by itself; what was kept goes a while after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from staging.errors import StagingError
from staging.times import Clock, Monotonic, now_ms
from staging.wirelog import coap_view, mqtt_view
from staging.wirelog.frames import Piece
from staging.wirelog.hiding import Hider

# Of one device: entries and bytes that are kept, the oldest go first.
ENTRIES_LIMIT, BYTES_LIMIT = 5000, 4 * 1024 * 1024
# Devices that are watched at a time; each has at most BYTES_LIMIT and as much again for its entries.
DEVICES_LIMIT = 16
# Seconds for which somebody who looks keeps a device watched, and for which it can be switched on.
LOOK_SECONDS = 60.0
ON_SECONDS_MAX = 24 * 3600
# Seconds after a watch for which its frames can be read.
KEEP_SECONDS = 600.0

COAP, MQTT = "coap", "mqtt"
UP, DOWN, NOTE = "up", "down", "note"


@dataclass(frozen=True, slots=True)
class Entry:
    """One frame, or a note such as that a connection began.

    Attributes:
        number: grows by one from entry to entry of a device.
        ts: when it came or went (Unix, milliseconds).
        way: UP from the device, DOWN to it, NOTE.
        link: COAP or MQTT.
        connection: which of the device's connections, by a number.
        data: the bytes, with ``*`` for secrets.
        size: how many there were.
        problem: why it is no frame; "": it is one.
        hidden: whether secrets were taken out.
        text: of a note.
        proven: whether the device had proven who it is.
    """

    number: int
    ts: int
    way: str
    link: str
    connection: int
    data: bytes = b""
    size: int = 0
    problem: str = ""
    hidden: bool = False
    text: str = ""
    proven: bool = True

    def to_json(self) -> dict[str, object]:
        """Return the entry with its bytes as hex and what they say."""
        told: dict[str, object] = {
            "number": self.number, "ts": self.ts, "way": self.way, "link": self.link,
            "connection": self.connection,
        }  # fmt: skip
        if self.way == NOTE:
            return told | {"text": self.text}
        told |= {"size": self.size, "hex": self.data.hex(), "hidden": self.hidden}
        if self.problem:
            told["problem"] = self.problem
        if not self.proven:
            told["proven"] = False
        if self.size == len(self.data) and not self.problem:
            told["view"] = self.view
        return told

    @property
    def view(self) -> dict[str, object]:
        """What the bytes say."""
        describe = coap_view.describe if self.link == COAP else mqtt_view.describe
        return describe(self.data)


@dataclass(slots=True)
class _Watched:
    """One device that is, or was, watched."""

    until: float
    hider: Hider
    entries: deque[Entry] = field(default_factory=deque)
    size: int = 0
    last: int = 0
    dropped: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class WireLog:
    """What devices and the cloud said to each other, of those that are watched."""

    def __init__(self, clock: Clock = now_ms, monotonic: Monotonic = time.monotonic) -> None:
        """Watch nobody; ``clock`` gives the times of entries, ``monotonic`` ends the watches."""
        self._clock = clock
        self._monotonic = monotonic
        self._watched: dict[str, _Watched] = {}
        self._connections = itertools.count(1)
        self._is_closed = False

    def next_connection(self) -> int:
        """Return a number for a new connection."""
        return next(self._connections)

    # Who is watched.

    def watch(self, uuid: str, secrets: Iterable[str], seconds: float = LOOK_SECONDS) -> None:
        """Keep a device's frames for ``seconds`` from now on, or for as long as it was to be before.

        Args:
            uuid: the device, in lower case.
            secrets: what must not be kept: its token and bind tokens.
            seconds: how long.

        Raises:
            StagingError: too many devices are watched.
        """
        now = self._monotonic()
        self._forget(now)
        watched = self._watched.get(uuid)
        if watched is None:
            if sum(each.until > now for each in self._watched.values()) >= DEVICES_LIMIT:
                raise StagingError(f"the wire logs of {DEVICES_LIMIT} devices are on already")
            self._make_room()
            watched = self._watched[uuid] = _Watched(0.0, Hider())
        for secret in secrets:
            watched.hider.learn(secret)
        watched.until = max(watched.until, now + seconds)

    def unwatch(self, uuid: str) -> None:
        """Keep no more of a device's frames; those that are there can be read for a while."""
        if uuid in self._watched:
            self._watched[uuid].until = min(self._watched[uuid].until, self._monotonic())

    def is_on(self, uuid: str) -> bool:
        """Return whether a device's frames are kept."""
        watched = self._watched.get(uuid)
        return watched is not None and watched.until > self._monotonic()

    def left(self, uuid: str) -> int:
        """Return for how many seconds a device is still watched."""
        watched = self._watched.get(uuid)
        return 0 if watched is None else max(0, round(watched.until - self._monotonic()))

    def _forget(self, now: float) -> None:
        for uuid in [u for u, w in self._watched.items() if w.until + KEEP_SECONDS < now]:
            del self._watched[uuid]

    def _make_room(self) -> None:
        """Forget the device whose watch ended first, so that what was kept is bounded too."""
        while len(self._watched) >= DEVICES_LIMIT:
            del self._watched[min(self._watched, key=lambda uuid: self._watched[uuid].until)]

    # What is kept.

    def add(
        self, uuid: str, way: str, link: str, connection: int, piece: Piece,
        *, ts: int | None = None, proven: bool = True,
    ) -> None:  # fmt: skip
        """Keep a frame of a device, if it is watched."""
        if not self.is_on(uuid):
            return
        watched = self._watched[uuid]
        hide = watched.hider.coap if link == COAP else watched.hider.mqtt
        data, hidden = hide(piece.data)
        at = self._clock() if ts is None else ts
        self._append(watched, Entry(
            watched.last + 1, at, way, link, connection, data, piece.size, piece.problem, hidden,
            proven=proven,
        ))  # fmt: skip

    def note(self, uuid: str, link: str, connection: int, text: str, ts: int | None = None) -> None:
        """Keep a note on a device's connection, if it is watched."""
        if self.is_on(uuid):
            watched = self._watched[uuid]
            at = self._clock() if ts is None else ts
            self._append(watched, Entry(watched.last + 1, at, NOTE, link, connection, text=text))

    def _append(self, watched: _Watched, entry: Entry) -> None:
        watched.entries.append(entry)
        watched.last = entry.number
        watched.size += len(entry.data)
        while len(watched.entries) > ENTRIES_LIMIT or watched.size > BYTES_LIMIT:
            watched.size -= len(watched.entries.popleft().data)
            watched.dropped += 1
        watched.changed.set()

    def entries(self, uuid: str, after: int = 0, limit: int = ENTRIES_LIMIT) -> list[Entry]:
        """Return a device's entries with numbers above ``after``, oldest first."""
        watched = self._watched.get(uuid)
        if watched is None:
            return []
        return list(itertools.islice((e for e in watched.entries if e.number > after), limit))

    def dropped(self, uuid: str) -> int:
        """Return how many of a device's entries had to make room."""
        watched = self._watched.get(uuid)
        return 0 if watched is None else watched.dropped

    async def wait(self, uuid: str, after: int, seconds: float) -> None:
        """Wait for an entry with a number above ``after``, at most for ``seconds``."""
        watched = self._watched.get(uuid)
        if watched is None or self._is_closed:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while watched.last <= after and not self._is_closed:
                    watched.changed.clear()
                    await watched.changed.wait()

    def close(self) -> None:
        """Let nobody wait any more."""
        self._is_closed = True
        for watched in self._watched.values():
            watched.changed.set()
