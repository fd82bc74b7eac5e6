"""As much of MQTT 5 as a small broker speaks (OASIS MQTT 5.0, section numbers below). No I/O.

The advisor is a broker of one client, so that it can do to a device what no broker does; the simulation has one of
few clients (`tools.sim.broker`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
USER_PROPERTY, RESPONSE_TOPIC, CORRELATION, EXPIRY = 0x26, 0x08, 0x09, 0x02
SESSION_EXPIRY, RECEIVE_MAXIMUM = 0x11, 0x21
# Bytes of one packet; a device's reports have some kilobytes.
PACKET_LIMIT = 256 * 1024
# How a property's value is written, by its number (2.2.2.2): bytes of an integer, or a word.
_KINDS: dict[int, int | str] = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
    0x0B: "number",
    **dict.fromkeys((0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F), "bytes"),
    0x26: "pair",
}
Property = tuple[int, bytes]
"""A property's number and value; of a user property, name and value each with their length before them."""


class PacketError(ValueError):
    """The bytes are no packet of MQTT 5."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: its kind, the flags of its first byte, and what follows the length."""

    kind: int
    flags: int
    body: bytes


class PacketDecoder:
    """Splits a stream into packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Packet]:
        """Take bytes; return the packets that they complete. Raises PacketError."""
        self._buffer += data
        found = []
        while (packet := self._next()) is not None:
            found.append(packet)
        return found

    def _next(self) -> Packet | None:
        if len(self._buffer) < 2:
            return None
        try:
            length, at = read_number(bytes(self._buffer[:5]), 1)
        except IndexError:
            return None
        if length > PACKET_LIMIT:
            raise PacketError(f"a packet of {length} bytes, expected at most {PACKET_LIMIT}")
        if len(self._buffer) < at + length:
            return None
        first, body = self._buffer[0], bytes(self._buffer[at : at + length])
        del self._buffer[: at + length]
        return Packet(first >> 4, first & 15, body)


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """Read a variable byte integer (1.5.5); return it, and where the rest begins."""
    value = shift = 0
    while True:
        if shift > 21:
            raise PacketError("a length of more than four bytes")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def number(value: int) -> bytes:
    """Write a variable byte integer."""
    made = bytearray()
    while True:
        value, low = value >> 7, value & 127
        made.append(low | (128 if value else 0))
        if not value:
            return bytes(made)


def field(data: bytes) -> bytes:
    """Write bytes with their length before them."""
    return struct.pack(">H", len(data)) + data


def read_field(data: bytes, at: int) -> tuple[bytes, int]:
    """Read bytes with their length before them; return them, and where the rest begins."""
    end = at + 2 + int.from_bytes(data[at : at + 2], "big")
    if len(data) < end or len(data) < at + 2:
        raise PacketError("a field that is cut short")
    return data[at + 2 : end], end


def packet(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    """Write a packet."""
    return bytes((kind << 4 | flags,)) + number(len(body)) + body


def read_properties(data: bytes, at: int) -> tuple[list[Property], int]:
    """Read properties (2.2.2); return them, and where the rest begins."""
    length, at = read_number(data, at)
    end = at + length
    found: list[Property] = []
    while at < end:
        key = data[at]
        value, at = _read_value(_KINDS.get(key), data, at + 1)
        found.append((key, value))
    return found, end


def _read_value(kind: int | str | None, data: bytes, at: int) -> tuple[bytes, int]:
    if isinstance(kind, int):
        return data[at : at + kind], at + kind
    if kind == "bytes":
        return read_field(data, at)
    if kind == "pair":
        _, middle = read_field(data, at)
        _, end = read_field(data, middle)
        return data[at:end], end
    if kind == "number":
        _, end = read_number(data, at)
        return data[at:end], end
    raise PacketError("a property that MQTT 5 does not have")


def users(properties: list[Property]) -> list[tuple[str, str]]:
    """Return the user properties."""
    found = []
    for key, value in properties:
        if key == USER_PROPERTY:
            name, at = read_field(value, 0)
            text, _ = read_field(value, at)
            found.append((name.decode(errors="replace"), text.decode(errors="replace")))
    return found


def first(properties: list[Property], key: int) -> bytes:
    """Return the value of a property, b"" without it."""
    return next((value for number_, value in properties if number_ == key), b"")


@dataclass(frozen=True, slots=True)
class Publish:
    """A message: its topic and payload, and where and under what name it is answered."""

    topic: str
    payload: bytes
    qos: int = 0
    mid: int = 0
    retain: bool = False
    response: str = ""
    correlation: bytes = b""
    users: tuple[tuple[str, str], ...] = ()
    expiry: int | None = None
    """Seconds after which nobody is to get it."""


def read_publish(found: Packet) -> Publish:
    """Read a PUBLISH (3.3)."""
    qos = found.flags >> 1 & 3
    topic, at = read_field(found.body, 0)
    mid = 0
    if qos:
        mid, at = int.from_bytes(found.body[at : at + 2], "big"), at + 2
    properties, at = read_properties(found.body, at)
    return Publish(
        topic.decode(errors="replace"),
        found.body[at:],
        qos,
        mid,
        bool(found.flags & 1),
        first(properties, RESPONSE_TOPIC).decode(errors="replace"),
        first(properties, CORRELATION),
        tuple(users(properties)),
        _integer(properties, EXPIRY),
    )


def _integer(properties: list[Property], key: int) -> int | None:
    value = first(properties, key)
    return int.from_bytes(value, "big") if value else None


def write_publish(message: Publish, *, again: bool = False) -> bytes:
    """Write a PUBLISH; ``again``: it was sent before."""
    properties = b""
    if message.expiry is not None:
        properties += bytes((EXPIRY,)) + message.expiry.to_bytes(4, "big")
    if message.response:
        properties += bytes((RESPONSE_TOPIC,)) + field(message.response.encode())
    if message.correlation:
        properties += bytes((CORRELATION,)) + field(message.correlation)
    for name, value in message.users:
        properties += bytes((USER_PROPERTY,)) + field(name.encode()) + field(value.encode())
    mid = message.mid.to_bytes(2, "big") if message.qos else b""
    body = field(message.topic.encode()) + mid + number(len(properties)) + properties
    return packet(PUBLISH, body + message.payload, again << 3 | message.qos << 1 | message.retain)


@dataclass(frozen=True, slots=True)
class Connect:
    """What a CONNECT says (3.1): who, for how long it may be silent, and what is to be told of its end."""

    version: int
    client: str
    user: str
    password: bytes
    keepalive: int
    will_topic: str = ""
    will: bytes = b""
    will_retain: bool = False
    clean: bool = False
    """Whether it forgets what was kept for it."""
    expiry: int = 0
    """Seconds for which what it has subscribed to is kept after its end."""
    receive_maximum: int = 65535


def read_connect(found: Packet) -> Connect:
    """Read a CONNECT."""
    body = found.body
    name, at = read_field(body, 0)
    if name != b"MQTT":
        raise PacketError(f"the protocol is {name!r}, expected MQTT")
    version, flags = body[at], body[at + 1]
    if version != 5:
        raise PacketError(f"version {version}, expected 5")
    keepalive = int.from_bytes(body[at + 2 : at + 4], "big")
    told, at = read_properties(body, at + 4)
    client, at = read_field(body, at)
    topic = will = b""
    if flags & 4:
        _, at = read_properties(body, at)
        topic, at = read_field(body, at)
        will, at = read_field(body, at)
    user = password = b""
    if flags & 0x80:
        user, at = read_field(body, at)
    if flags & 0x40:
        password, at = read_field(body, at)
    return Connect(
        version, client.decode(), user.decode(), password, keepalive, topic.decode(), will,
        bool(flags & 0x20), bool(flags & 2), _integer(told, SESSION_EXPIRY) or 0,
        _integer(told, RECEIVE_MAXIMUM) or 65535,
    )  # fmt: skip


def read_subscribe(found: Packet) -> tuple[int, list[str]]:
    """Read a SUBSCRIBE (3.8): its id and the filters."""
    mid, filters = read_filters(found)
    return mid, [name for name, _ in filters]


def read_filters(found: Packet) -> tuple[int, list[tuple[str, int]]]:
    """Read a SUBSCRIBE (3.8): its id, and the filters with the highest QoS that each wants."""
    mid = int.from_bytes(found.body[:2], "big")
    _, at = read_properties(found.body, 2)
    filters = []
    while at < len(found.body):
        name, at = read_field(found.body, at)
        filters.append((name.decode(errors="replace"), found.body[at] & 3))
        at += 1
    return mid, filters


def read_unsubscribe(found: Packet) -> tuple[int, list[str]]:
    """Read an UNSUBSCRIBE (3.10): its id and the filters."""
    _, at = read_properties(found.body, 2)
    filters = []
    while at < len(found.body):
        name, at = read_field(found.body, at)
        filters.append(name.decode(errors="replace"))
    return int.from_bytes(found.body[:2], "big"), filters


def suback(mid: int, count: int) -> bytes:
    """Write a SUBACK that grants QoS 1 to each filter."""
    return answer(SUBACK, mid, b"\1" * count)


def answer(kind: int, mid: int, reasons: bytes) -> bytes:
    """Write a SUBACK or UNSUBACK: a reason for each filter (3.9, 3.11)."""
    return packet(kind, mid.to_bytes(2, "big") + b"\0" + reasons)


def connack(reason: int = 0, *, present: bool = False, properties: bytes = b"") -> bytes:
    """Write a CONNACK; ``present``: what was kept for the client is there still."""
    return packet(CONNACK, bytes((present, reason)) + number(len(properties)) + properties)


def puback(mid: int, reason: int = 0) -> bytes:
    """Write a PUBACK; a reason of 128 or more says that nobody gets the message (3.4.2.1)."""
    return packet(PUBACK, mid.to_bytes(2, "big") + (bytes((reason, 0)) if reason else b""))


def read_puback(found: Packet) -> tuple[int, int]:
    """Read a PUBACK: the message's id, and the reason."""
    body = found.body
    return int.from_bytes(body[:2], "big"), body[2] if len(body) > 2 else 0
