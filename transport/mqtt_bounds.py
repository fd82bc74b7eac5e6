"""How many properties an MQTT 5 message has, before a library reads them. Pure: bytes in, a number out.

paho-mqtt needs time in the square of them: 18,000 user properties, which fit a message of 128 KiB, cost
3.3 s of the whole event loop. A device could so stop a worker of the cloud, so what has more than any
message of ours is dropped unread.
"""

from __future__ import annotations

# `wire.topics` writes at most 36 (16 parts of a path, 16 of a query, method, deadline, id, code), and
# MQTT itself some four.
PROPERTIES_LIMIT = 64
# Bytes in which so many do not fit: shorter ones need no count.
_SHORT = 2 * PROPERTIES_LIMIT

# Bytes of a property's value by its identifier (MQTT 5 section 2.2.2.2).
_FIXED = {
    1: 1, 2: 4, 17: 4, 19: 2, 23: 1, 24: 4, 25: 1, 33: 2, 34: 2, 35: 2, 36: 1, 37: 1, 39: 4, 40: 1,
    41: 1, 42: 1,
}  # fmt: skip
# How many strings, each behind its length in two bytes, a property has.
_STRINGS = {3: 1, 8: 1, 9: 1, 18: 1, 21: 1, 22: 1, 26: 1, 28: 1, 31: 1, 38: 2}
_SUBSCRIPTION = 11


def has_too_many(packet: bytes | bytearray, qos: int) -> bool:
    """Return whether a PUBLISH has more than PROPERTIES_LIMIT properties.

    Args:
        packet: the packet behind its fixed header.
        qos: its quality of service.

    What is malformed is left to the library: the answer is then False.
    """
    try:
        at = 2 + int.from_bytes(packet[:2]) + (2 if qos else 0)
        length, at = _varint(packet, at)
        return length > _SHORT and _count(packet, at, at + length) > PROPERTIES_LIMIT
    except (IndexError, KeyError):
        return False


def has_place(packet: bytes | bytearray, qos: int) -> bool:
    """Return whether topic, identifier and properties of a PUBLISH are within the packet, whatever they say.

    Arguments as those of `has_too_many`.
    """
    try:
        length, at = _varint(packet, 2 + int.from_bytes(packet[:2]) + (2 if qos else 0))
    except IndexError:
        return False
    return at + length <= len(packet)


def _count(packet: bytes | bytearray, at: int, end: int) -> int:
    """Return the number of properties from ``at`` to ``end``, or the first one beyond the limit."""
    count = 0
    while at < end and count <= PROPERTIES_LIMIT:
        kind, at = packet[at], at + 1
        count += 1
        if kind == _SUBSCRIPTION:
            _, at = _varint(packet, at)
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            for _ in range(_STRINGS[kind]):
                at += 2 + (packet[at] << 8 | packet[at + 1])
    return count


def _varint(packet: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return a variable byte integer and the place behind it (MQTT 5 section 1.5.5)."""
    value = 0
    for shift in (0, 7, 14, 21):
        value |= (packet[at] & 0x7F) << shift
        at += 1
        if not packet[at - 1] & 0x80:
            break
    return value, at
