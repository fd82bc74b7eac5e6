"""What an MQTT 5 control packet says, also a malformed one. No I/O; it never raises.

Sections in comments are of MQTT 5.0 (OASIS). MQTT 3.1.1 packets are read as far as they agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from staging.wirelog.coap_view import show_payload
from staging.wirelog.frames import read_length

_TYPES = (
    "", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
    "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
)  # fmt: skip
CONNECT, CONNACK, PUBLISH, SUBSCRIBE, SUBACK = 1, 2, 3, 8, 9
UNSUBSCRIBE, UNSUBACK, DISCONNECT = 10, 11, 14
_ANSWERS = range(4, 8)
# Section 2.2.2.2: name and form of each property.
_PROPERTIES: Mapping[int, tuple[str, str]] = {
    0x01: ("payload format", "byte"), 0x02: ("message expiry", "four"), 0x03: ("content type", "text"),
    0x08: ("response topic", "text"), 0x09: ("correlation", "bytes"), 0x0B: ("subscription", "length"),
    0x11: ("session expiry", "four"), 0x12: ("client id", "text"), 0x13: ("server keepalive", "two"),
    0x15: ("method", "text"), 0x16: ("authentication", "secret"), 0x17: ("problem information", "byte"),
    0x18: ("will delay", "four"), 0x19: ("response information", "byte"), 0x1A: ("response", "text"),
    0x1C: ("server", "text"), 0x1F: ("reason", "text"), 0x21: ("receive maximum", "two"),
    0x22: ("topic alias maximum", "two"), 0x23: ("topic alias", "two"), 0x24: ("maximum qos", "byte"),
    0x25: ("retain available", "byte"), 0x26: ("user", "pair"), 0x27: ("maximum packet", "four"),
    0x28: ("wildcards", "byte"), 0x29: ("subscription ids", "byte"), 0x2A: ("shared", "byte"),
}  # fmt: skip


class _UnreadableError(Exception):
    """The packet cannot be read further."""


@dataclass(slots=True)
class MqttParts:
    """One packet, as far as it can be read.

    Attributes:
        kind: the packet type's number.
        shown: its members, in order; never a password.
        secrets: first and last position of each value that is a secret.
        user: the user name of a CONNECT.
        problem: where it cannot be read any more.
    """

    kind: int = 0
    shown: dict[str, object] = field(default_factory=dict)
    secrets: list[tuple[int, int]] = field(default_factory=list)
    user: str = ""
    problem: str = ""


def split_packet(packet: bytes) -> MqttParts:
    """Return what a packet has."""
    parts = MqttParts()
    try:
        _Reader(packet, parts).read()
    except _UnreadableError as error:
        parts.problem = str(error)
    return parts


def describe(packet: bytes) -> dict[str, object]:
    """Return what a packet says, as JSON."""
    parts = split_packet(packet)
    problem = {"problem": parts.problem} if parts.problem else {}
    return {"type": _TYPES[parts.kind] or "reserved"} | parts.shown | problem


class _Reader:
    """Reads one packet from its beginning."""

    def __init__(self, packet: bytes, parts: MqttParts) -> None:
        self._data = packet
        self._parts = parts
        self._at = 0
        self._is_5 = True

    def read(self) -> None:
        if not self._data:
            raise _UnreadableError("no bytes")
        first = self._data[0]
        kind = self._parts.kind = first >> 4
        found = read_length(self._data, 1)
        if found is None:
            raise _UnreadableError("its length cannot be read")
        self._at = found[1]
        bodies: Mapping[int, Callable[[], None]] = {
            CONNECT: self._connect, CONNACK: self._connack, SUBSCRIBE: self._subscribe,
            UNSUBSCRIBE: self._unsubscribe, SUBACK: self._codes, UNSUBACK: self._codes,
            DISCONNECT: self._end, **dict.fromkeys(_ANSWERS, self._answer),
        }  # fmt: skip
        if kind == PUBLISH:
            self._publish(first & 0x0F)
        elif kind in bodies:
            bodies[kind]()

    # Parts of packets.

    def _need(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise _UnreadableError(f"cut short: byte {len(self._data)} of at least {end}")
        taken, self._at = self._data[self._at : end], end
        return taken

    def _number(self, size: int) -> int:
        return int.from_bytes(self._need(size), "big")

    def _bytes(self, *, is_secret: bool = False) -> bytes:
        size = self._number(2)
        taken = self._need(size)
        if is_secret:
            self._parts.secrets.append((self._at - size, self._at))
        return taken

    def _text(self) -> str:
        return self._bytes().decode(errors="replace")

    def _show(self, name: str, value: object) -> None:
        self._parts.shown[name] = value

    def _properties(self, name: str = "properties") -> None:
        if not self._is_5:
            return
        found = read_length(self._data, self._at)
        if found is None:
            raise _UnreadableError("the properties' length cannot be read")
        size, self._at = found
        end = self._at + size
        read: dict[str, object] = {}
        while self._at < min(end, len(self._data)):
            self._property(read)
        if end > len(self._data):
            raise _UnreadableError("the properties are cut short")
        if read:
            self._show(name, read)

    def _property(self, read: dict[str, object]) -> None:
        number = self._number(1)
        if number not in _PROPERTIES:
            raise _UnreadableError(f"property 0x{number:02x} is unknown")
        name, form = _PROPERTIES[number]
        match form:
            case "pair":
                pairs = read.setdefault(name, [])
                assert isinstance(pairs, list)  # noqa: S101  # for type checkers
                pairs.append([self._text(), self._text()])
            case "text":
                read[name] = self._text()
            case "bytes":
                read[name] = self._bytes().hex()
            case "secret":
                read[name] = f"{len(self._bytes(is_secret=True))} bytes"
            case "length":
                value = read_length(self._data, self._at)
                if value is None:
                    raise _UnreadableError(f"{name} cannot be read")
                read[name], self._at = value
            case _:
                read[name] = self._number({"byte": 1, "two": 2, "four": 4}[form])

    # Packets.

    def _connect(self) -> None:  # section 3.1
        self._show("protocol", self._text())
        version, flags = self._number(1), self._number(1)
        self._is_5 = version >= 5
        self._show("version", version)
        self._show("keepalive", self._number(2))
        self._show("clean", bool(flags & 2))
        self._properties()
        self._show("client", self._text())
        if flags & 4:
            self._properties("will properties")
            self._show("will", {"topic": self._text(), "payload": show_payload(self._bytes())})
        if flags & 0x80:
            self._parts.user = self._text()
            self._show("user", self._parts.user)
        if flags & 0x40:
            self._show("password", f"{len(self._bytes(is_secret=True))} bytes, hidden")

    def _connack(self) -> None:
        self._show("session", bool(self._number(1) & 1))
        self._show("code", self._number(1))
        if self._at < len(self._data):
            self._properties()

    def _publish(self, flags: int) -> None:  # section 3.3
        self._show("topic", self._text())
        qos = flags >> 1 & 3
        self._show("qos", qos)
        for name, bit in (("retain", 1), ("again", 8)):
            if flags & bit:
                self._show(name, True)
        if qos:
            self._show("id", self._number(2))
        self._properties()
        self._show("payload", show_payload(self._data[self._at :]))

    def _answer(self) -> None:
        self._show("id", self._number(2))
        if self._at < len(self._data):
            self._show("code", self._number(1))
        if self._at < len(self._data):
            self._properties()

    def _subscribe(self) -> None:
        self._show("id", self._number(2))
        self._properties()
        filters: list[object] = []
        self._show("filters", filters)
        while self._at < len(self._data):
            filters.append([self._text(), self._number(1) & 3])

    def _unsubscribe(self) -> None:
        self._show("id", self._number(2))
        self._properties()
        filters: list[object] = []
        self._show("filters", filters)
        while self._at < len(self._data):
            filters.append(self._text())

    def _codes(self) -> None:
        self._show("id", self._number(2))
        self._properties()
        self._show("codes", list(self._data[self._at :]))

    def _end(self) -> None:
        if self._at < len(self._data):
            self._show("code", self._number(1))
        if self._at < len(self._data):
            self._properties()
