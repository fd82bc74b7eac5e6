"""PulseAudio's native protocol, as much of it as a mixer needs: bytes in, objects out, no I/O.

A message is a descriptor of five big-endian words (length, channel, offset, flags) and a tagged
structure: each value follows a letter that tells its type. PulseAudio describes it in PROTOCOL and
in src/pulsecore/tagstruct.c and native-common.h; PipeWire's server (pipewire-pulse) speaks it too.
Version 13 is announced: the oldest with the properties of a sink, so that answers stay short.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum

from wire.records import dataclass

VERSION = 13
# pipewire-pulse 0.3.65 and PulseAudio 16 refuse longer ones; a list of 100 sinks has 100 KiB.
MESSAGE_LIMIT = 4 * 1024 * 1024
COOKIE_BYTES = 256
FULL = 0x10000
"""The volume of a channel at 100 %, which is 0 dB."""
INVALID = 0xFFFFFFFF
HEAD = struct.Struct(">5I")
# Of pa_subscription_mask_t: sinks, streams to them, and the server itself (its default sink).
SUBSCRIBE_MASK = 0x0001 | 0x0004 | 0x0080
# Of pa_subscription_event_type_t: what an event is about.
_OF_SINK, _OF_STREAM, _OF_SERVER = 0, 2, 7
_WORD = struct.Struct(">I")
_LONG = struct.Struct(">Q")
_SPEC = struct.Struct(">BBI")


class PulseWireError(Exception):
    """A message is not what the protocol says; the text tells what was expected."""


class Command(IntEnum):
    """Commands, by their numbers in native-common.h."""

    ERROR = 0
    REPLY = 2
    AUTH = 8
    SET_CLIENT_NAME = 9
    GET_SERVER_INFO = 20
    GET_SINK_INFO = 21
    GET_SINK_INFO_LIST = 22
    GET_SINK_INPUT_INFO_LIST = 30
    SUBSCRIBE = 35
    SET_SINK_VOLUME = 36
    SET_SINK_INPUT_VOLUME = 37
    SET_SINK_MUTE = 39
    SUBSCRIBE_EVENT = 66


# Errors that a mixer meets, by their numbers in def.h.
ERRORS = {
    1: "access denied", 2: "unknown command", 3: "invalid argument", 5: "no such sink",
    7: "protocol error", 8: "timed out", 9: "no authentication key", 12: "connection ended",
    15: "no such sink any more", 16: "the server's version is too old or too new",
}  # fmt: skip


class EventKind(IntEnum):
    """What happened to a sink or the server (pa_subscription_event_type_t)."""

    NEW = 0x00
    CHANGED = 0x10
    GONE = 0x20


@dataclass(frozen=True, slots=True)
class SinkEvent:
    """A sink or stream came, changed or went; ``index`` None: the server's defaults may have changed."""

    index: int | None
    kind: EventKind


@dataclass(frozen=True, slots=True)
class Sink:
    """One output of the server.

    Attributes:
        index: its number, which is never used again by the same run of the server.
        name: its name.
        volumes: of each channel, 0 to FULL and above.
        muted: whether it is muted.
        is_filter: whether it changes sound for another sink, and is no device itself.
        master: the name of the sink that a filter plays to, "" if unknown.
    """

    index: int
    name: str
    volumes: tuple[int, ...]
    muted: bool
    is_filter: bool = False
    master: str = ""

    @property
    def level(self) -> float:
        """The loudest channel on PulseAudio's cubic scale, 1.0 for 0 dB; 0.0 while muted."""
        return 0.0 if self.muted else max(self.volumes, default=0) / FULL


@dataclass(frozen=True, slots=True)
class Stream:
    """What a program plays to a sink (a sink input), with a volume of its own for each channel."""

    index: int
    volumes: tuple[int, ...]

    @property
    def is_boosted(self) -> bool:
        """Whether it is louder than the program plays it."""
        return max(self.volumes, default=0) > FULL


@dataclass(frozen=True, slots=True)
class Server:
    """The server: the name of its default sink ("" for none), and the cookie of this run."""

    default_sink: str
    cookie: int


class Writer:
    """Builds a message."""

    def __init__(self, command: Command, tag: int) -> None:
        """Begin ``command``; its answer bears ``tag``."""
        self.tag = tag
        self._parts: list[bytes] = []
        self.word(command).word(tag)

    def word(self, value: int) -> Writer:
        """Add an unsigned number of 32 bits."""
        self._parts.append(b"L" + _WORD.pack(value))
        return self

    def text(self, value: str | None) -> Writer:
        """Add a string; None is the null string, which differs from an empty one."""
        self._parts.append(b"N" if value is None else b"t" + value.encode() + b"\0")
        return self

    def flag(self, *, value: bool) -> Writer:
        """Add a truth value."""
        self._parts.append(b"1" if value else b"0")
        return self

    def blob(self, value: bytes) -> Writer:
        """Add bytes."""
        self._parts.append(b"x" + _WORD.pack(len(value)) + value)
        return self

    def volumes(self, values: tuple[int, ...]) -> Writer:
        """Add the volume of each channel."""
        self._parts.append(b"v" + bytes([len(values)]) + b"".join(map(_WORD.pack, values)))
        return self

    def properties(self, values: Mapping[str, str]) -> Writer:
        """Add a list of properties."""
        self._parts.append(b"P")
        for name, value in values.items():
            data = value.encode() + b"\0"
            self.text(name).word(len(data)).blob(data)
        self._parts.append(b"N")
        return self

    def to_bytes(self) -> bytes:
        """Return the message with its descriptor."""
        body = b"".join(self._parts)
        return HEAD.pack(len(body), INVALID, 0, 0, 0) + body


class Reader:
    """Reads a message's values in their order; each method raises PulseWireError."""

    def __init__(self, data: bytes) -> None:
        """Read ``data``, a message without its descriptor."""
        self._data = data
        self._place = 0

    @property
    def at_end(self) -> bool:
        """Whether all has been read."""
        return self._place >= len(self._data)

    def word(self) -> int:
        """Read an unsigned number of 32 bits."""
        self._expect(b"L")
        return int(_WORD.unpack(self._take(4))[0])

    def text(self) -> str:
        """Read a string; the null string is ""."""
        if self._tag() == b"N":
            self._place += 1
            return ""
        self._expect(b"t")
        end = self._data.find(b"\0", self._place)
        if end < 0:
            raise PulseWireError("got a string without end, expected a zero byte")
        found = self._data[self._place : end]
        self._place = end + 1
        return found.decode(errors="replace")

    def flag(self) -> bool:
        """Read a truth value."""
        tag = self._take(1)
        if tag not in {b"0", b"1"}:
            raise PulseWireError(f"got {tag!r}, expected a truth value")
        return tag == b"1"

    def volumes(self) -> tuple[int, ...]:
        """Read the volume of each channel."""
        self._expect(b"v")
        return struct.unpack(f">{(count := self._take(1)[0])}I", self._take(4 * count))

    def properties(self) -> dict[str, str]:
        """Read a list of properties; values are text."""
        self._expect(b"P")
        found: dict[str, str] = {}
        while self._tag() != b"N":
            name, size = self.text(), self.word()
            self._expect(b"x")
            if _WORD.unpack(self._take(4))[0] != size:
                raise PulseWireError("a property's length: got two that differ")
            found[name] = self._take(size).rstrip(b"\0").decode(errors="replace")
        self._place += 1
        return found

    def skip_spec(self) -> None:
        """Pass over a sample specification."""
        self._expect(b"a")
        self._take(_SPEC.size)

    def skip_map(self) -> None:
        """Pass over a channel map."""
        self._expect(b"m")
        self._take(self._take(1)[0])

    def skip_time(self) -> None:
        """Pass over a time in microseconds."""
        self._expect(b"U")
        self._take(_LONG.size)

    def _tag(self) -> bytes:
        return self._data[self._place : self._place + 1]

    def _expect(self, tag: bytes) -> None:
        if (got := self._take(1)) != tag:
            raise PulseWireError(f"got a value of type {got!r}, expected {tag!r}")

    def _take(self, count: int) -> bytes:
        end = self._place + count
        if end > len(self._data):
            raise PulseWireError("got a message that is cut short, expected more of it")
        found, self._place = self._data[self._place : end], end
        return found


def read_head(head: bytes) -> tuple[int, bool]:
    """Return a message's length in bytes and whether it is a command; raises PulseWireError.

    Others are blocks of samples, which a mixer does not ask for.
    """
    length, channel, *_ = HEAD.unpack(head)
    if length > MESSAGE_LIMIT:
        raise PulseWireError(f"got a message of {length} bytes, expected at most {MESSAGE_LIMIT}")
    return length, channel == INVALID


def read_server(reader: Reader) -> Server:
    """Read the answer to GET_SERVER_INFO; raises PulseWireError."""
    for _ in range(4):  # package, version, user, host
        reader.text()
    reader.skip_spec()
    default = reader.text()
    reader.text()  # the default source
    return Server(default, reader.word())


def read_sinks(reader: Reader) -> Iterator[Sink]:
    """Read the answer to GET_SINK_INFO or GET_SINK_INFO_LIST; raises PulseWireError."""
    while not reader.at_end:
        yield _read_sink(reader)


def _read_sink(reader: Reader) -> Sink:
    index, name = reader.word(), reader.text()
    reader.text()  # for people
    reader.skip_spec()
    reader.skip_map()
    reader.word()  # its module
    volumes, muted = reader.volumes(), reader.flag()
    reader.word()
    reader.text()  # its monitor
    reader.skip_time()
    reader.text()  # its driver
    reader.word()
    properties = reader.properties()
    reader.skip_time()
    master = properties.get("device.master_device", "")
    is_filter = bool(master) or properties.get("device.class") == "filter"
    return Sink(index, name, volumes, muted, is_filter, master)


def read_streams(reader: Reader) -> Iterator[Stream]:
    """Read the answer to GET_SINK_INPUT_INFO_LIST; raises PulseWireError."""
    while not reader.at_end:
        index = reader.word()
        reader.text()  # for people
        for _ in range(3):  # its module, program and sink
            reader.word()
        reader.skip_spec()
        reader.skip_map()
        volumes = reader.volumes()
        reader.skip_time()
        reader.skip_time()
        reader.text()  # how it is resampled
        reader.text()  # its driver
        reader.flag()
        reader.properties()
        yield Stream(index, volumes)


def read_event(reader: Reader) -> SinkEvent | None:
    """Read a SUBSCRIBE_EVENT; None if it is of another kind. Raises PulseWireError."""
    event, index = reader.word(), reader.word()
    facility, kind = event & 0x0F, event & 0x30
    if kind not in set(EventKind):
        return None
    if facility in {_OF_SINK, _OF_STREAM}:
        return SinkEvent(index, EventKind(kind))
    return SinkEvent(None, EventKind(kind)) if facility == _OF_SERVER else None
