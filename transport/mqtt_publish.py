"""What an MQTT 5 PUBLISH says beside its payload, written and read in one pass. Pure: bytes in, values out.

paho looks each property's name up among all that there are, and makes an object of four tables for each message: that was
a third of what a message costs. What is not as every message of ours is left to paho, and so is what is malformed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

# Of properties (MQTT 5 section 2.2.2.2).
EXPIRY, RESPONSE_TOPIC, CORRELATION, USER = 2, 8, 9, 38
# What no string may have (1.5.4): paho refuses it.
_REFUSED = ("\0", "\ufeff")


class Published(NamedTuple):
    """A PUBLISH as it came."""

    topic: str
    payload: bytes
    mid: int
    response_topic: str
    correlation: bytes
    words: tuple[tuple[str, str], ...]


def write_properties(
    expiry: int | None, response_topic: str, correlation: bytes, words: Iterable[tuple[str, str]]
) -> bytes:
    """Return the properties with their length before them (3.3.2.3); raises struct.error for what is too long or too large."""
    made = bytearray()
    if expiry is not None:
        made += struct.pack(">BI", EXPIRY, expiry)
    if response_topic:
        made += _counted(RESPONSE_TOPIC, response_topic.encode())
    if correlation:
        made += _counted(CORRELATION, correlation)
    for name, value in words:
        text = value.encode()
        made += _counted(USER, name.encode()) + struct.pack(">H", len(text)) + text
    return _number(len(made)) + made


def _counted(kind: int, data: bytes) -> bytes:
    return struct.pack(">BH", kind, len(data)) + data


def _number(value: int) -> bytes:
    """Return a variable byte integer (1.5.5)."""
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def read_publish(packet: bytes | bytearray, qos: int) -> Published | None:
    """Return what a PUBLISH says, from behind its fixed header; None: it is another one than ours are, or malformed."""
    try:
        return _read(packet, qos)
    except (IndexError, ValueError):  # UnicodeDecodeError is one
        return None


def _read(packet: bytes | bytearray, qos: int) -> Published | None:
    topic, at = _string(packet, 0)
    mid = 0
    if qos:
        mid, at = packet[at] << 8 | packet[at + 1], at + 2
    length, at = _length(packet, at)
    end = at + length
    if end > len(packet):
        return None
    response_topic, correlation, words, seen = "", b"", list[tuple[str, str]](), set[int]()
    while at < end:
        kind, at = packet[at], at + 1
        if kind == USER:
            name, at = _string(packet, at)
            value, at = _string(packet, at)
            words.append((name, value))
            continue
        if kind in seen:
            return None
        seen.add(kind)
        if kind == RESPONSE_TOPIC:
            response_topic, at = _string(packet, at)
        elif kind == CORRELATION:
            correlation, at = _bytes(packet, at)
        elif kind == EXPIRY:
            at += 4
        else:
            return None
    if at != end:
        return None
    return Published(topic, bytes(packet[end:]), mid, response_topic, correlation, tuple(words))


def _bytes(packet: bytes | bytearray, at: int) -> tuple[bytes, int]:
    """Return bytes behind their length, and the place behind them; raises IndexError, ValueError."""
    begin = at + 2
    end = begin + (packet[at] << 8 | packet[at + 1])
    if end > len(packet):
        raise ValueError("cut off")
    return bytes(packet[begin:end]), end


def _string(packet: bytes | bytearray, at: int) -> tuple[str, int]:
    data, end = _bytes(packet, at)
    text = data.decode()
    if any(each in text for each in _REFUSED):
        raise ValueError("a character that no string may have")
    return text, end


def _length(packet: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return a variable byte integer, and the place behind it; raises IndexError, ValueError."""
    value = 0
    for shift in (0, 7, 14, 21):
        byte, at = packet[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a length of more than four bytes")
