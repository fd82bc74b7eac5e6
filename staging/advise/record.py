"""What was seen of a device while a case ran: connections, requests of its own, and what it said to each stimulus.

A check reads these and nothing else, so that each can be tried on records that no device has made. Times are seconds of the bench's
clock.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from wire.errors import WireError
from wire.fields import is_object, parse_object

# Frames of one case that a report quotes.
FRAMES_LIMIT = 80
# What became of a stimulus.
ANSWERED, SILENT, ENDED = "answered", "silent", "ended"


@functools.lru_cache(maxsize=64)
def _parsed(payload: bytes) -> dict[str, object] | None:
    """Return a payload as an object; each is looked at by several, one after the other."""
    with contextlib.suppress(WireError):
        return parse_object(payload, "payload")
    return None


@dataclass(slots=True)
class LineSeen:
    """One connection of the device.

    Attributes:
        opened, closed: when; None: it is still open.
        by_device: whether the device ended it.
        handshake: what TLS agreed on ("TLSv1.3"), or "" where it failed.
        fault: why the handshake failed.
        silent_bytes: the first bytes of a peer that was spoken to without TLS.
    """

    opened: float
    closed: float | None = None
    by_device: bool = False
    handshake: str = ""
    fault: str = ""
    clear_bytes: bytes = b""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request of the device; ``line`` counts its connections from 0."""

    at: float
    line: int
    kind: str
    """``register``, ``report``, ``voice``, ``state`` or ``other``."""
    confirmable: bool
    method: str
    path: tuple[str, ...]
    query: tuple[str, ...]
    payload: bytes

    @property
    def body(self) -> dict[str, object] | None:
        """The payload as a JSON object, None if it is none."""
        return _parsed(self.payload)

    @property
    def data(self) -> dict[str, object]:
        """What a report tells, {} if it is none."""
        body = self.body or {}
        value = body.get("data")
        return dict(value) if is_object(value) else {}

    @property
    def number(self) -> tuple[str, int] | None:
        """The epoch and number of a report that has them."""
        body = self.body or {}
        epoch, number = body.get("epoch"), body.get("number")
        return (epoch, number) if isinstance(epoch, str) and isinstance(number, int) else None


@dataclass(frozen=True, slots=True)
class Probe:
    """One stimulus, and what became of it.

    Attributes:
        outcome: ANSWERED, SILENT or ENDED (the device ended the connection).
        code: of the answer, a CoAP code byte.
        seconds: until the answer.
        echoes: whether the answer belongs to the request by token and, where it is an ACK, by message id.
        kind: of the answer, a CoAP message type; -1 over MQTT.
    """

    name: str
    outcome: str
    code: int = 0
    payload: bytes = b""
    seconds: float = 0.0
    echoes: bool = True
    kind: int = -1

    @property
    def text(self) -> str:
        """The payload as text."""
        return self.payload.decode(errors="replace")

    @property
    def ok(self) -> bool:
        """Whether it was answered with success (class 2)."""
        return self.outcome == ANSWERED and self.code >> 5 == 2

    def __str__(self) -> str:
        if self.outcome != ANSWERED:
            return self.outcome
        return f"{self.code >> 5}.{self.code & 31:02}"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: when, ``>`` to the device or ``<`` from it, and its bytes."""

    at: float
    way: str
    data: bytes


@dataclass(slots=True)
class Trace:
    """All that one case saw."""

    lines: list[LineSeen] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    probes: dict[str, Probe] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What was wrong with the form of the device's messages."""
    seen: dict[str, Any] = field(default_factory=dict)
    """What the case noted, by names that its checks know."""
    skipped: str = ""
    """Why the case could not run, in words; "": it ran."""

    def note_frame(self, at: float, way: str, data: bytes) -> None:
        """Keep a frame for the report."""
        if len(self.frames) < FRAMES_LIMIT:
            self.frames.append(Frame(at, way, data))

    def of(self, kind: str) -> list[Arrival]:
        """Return the device's requests of one kind, in order."""
        return [arrival for arrival in self.arrivals if arrival.kind == kind]

    def told(self, key: str) -> Iterator[tuple[Arrival, object]]:
        """Yield the reports that have a key, and its value."""
        for arrival in self.arrivals:
            if key in (data := arrival.data):
                yield arrival, data[key]


@dataclass(slots=True)
class Known:
    """What is known of the device under test.

    Attributes:
        link: "coap" or "mqtt".
        points: its self-description's entries; the document's four where it has none.
        described: whether it has described itself.
        reads: what it says that it reads beyond the document.
        version: of its firmware, "" as long as it has not said.
    """

    uuid: str
    token: str = field(repr=False)
    link: str = "coap"
    points: list[dict[str, Any]] = field(default_factory=list)
    described: bool = False
    reads: frozenset[str] = frozenset()
    version: str = ""
    product: str = ""
    versions: list[str] = field(default_factory=list)
    """Each version that it said it runs, in order, one after the other the same ones once."""
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    """What it told of updates (``ota_event``), each with when it came; a report that came again is there once."""
    states: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    """The same of ``ota_state``."""
    counted: set[tuple[tuple[str, int], bytes]] = field(default_factory=set, repr=False)
    """The numbers of these reports, and what each says: one that comes again says the same."""
    hidden: tuple[bytes, ...] = field(default=(), repr=False)
    """What no report may show: its token and its bind token."""
