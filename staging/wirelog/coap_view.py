"""What a frame of framed CoAP says, also one that no receiver would take. No I/O; it never raises.

It reads the message by itself (RFC 7252 section 3), where a receiver refuses: whoever looks for a fault wants to see
as much of a malformed message as there is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from wire.framing import HEADER

_TYPES = ("CON", "NON", "ACK", "RST")
_METHODS = {1: "GET", 2: "POST", 3: "PUT", 4: "DELETE"}
_PATH, _QUERY = 11, 15
# RFC 7252 section 12.2, RFC 7959, RFC 7967, and ours (docs/adr/0033).
_NAMES = {
    1: "If-Match", 3: "Uri-Host", 4: "ETag", 5: "If-None-Match", 6: "Observe", 7: "Uri-Port",
    8: "Location-Path", 11: "Uri-Path", 12: "Content-Format", 14: "Max-Age", 15: "Uri-Query",
    17: "Accept", 20: "Location-Query", 23: "Block2", 27: "Block1", 28: "Size2", 35: "Proxy-Uri",
    39: "Proxy-Scheme", 60: "Size1", 258: "No-Response", 65020: "Until", 65052: "Request-Id",
}  # fmt: skip
# In place of a character that is not whole.
_CUT = "\N{REPLACEMENT CHARACTER}"
_TEXTS = {3, 8, 11, 15, 20, 35, 39}
_BLOCKS = {23, 27}
_NUMBERS = {6, 7, 12, 14, 17, 28, 60, 258, 65020}


@dataclass(slots=True)
class CoapParts:
    """The parts of one message, as far as they can be read; positions are in the whole frame.

    Attributes:
        options: number, and first and last position of each value.
        payload: where the payload begins.
        problem: where it cannot be read any more; "": it is read whole.
    """

    type: str = ""
    code: int = 0
    id: int = 0
    token: bytes = b""
    options: list[tuple[int, int, int]] = field(default_factory=list)
    payload: int | None = None
    problem: str = ""


class _UnreadableError(Exception):
    """The message cannot be read further."""


def split_message(frame: bytes) -> CoapParts:
    """Return the parts of a frame's message."""
    parts = CoapParts()
    try:
        _split(frame, parts)
    except _UnreadableError as error:
        parts.problem = str(error)
    except (struct.error, IndexError):
        parts.problem = f"{len(frame)} bytes are no frame with a message"
    return parts


def _split(frame: bytes, parts: CoapParts) -> None:
    first, parts.code, parts.id = struct.unpack_from("!BBH", frame, HEADER.size)
    parts.type = _TYPES[first >> 4 & 3]
    length, at = first & 0x0F, HEADER.size + 4
    if first >> 6 != 1:
        raise _UnreadableError(f"CoAP version {first >> 6}, expected 1")
    if length > 8:
        raise _UnreadableError(f"a token of {length} bytes, expected at most 8")
    parts.token = frame[at : at + length]
    for number, start, end in _options(frame, at + length, parts):
        parts.options.append((number, start, end))


def _options(frame: bytes, at: int, parts: CoapParts) -> Iterator[tuple[int, int, int]]:
    number = 0
    while at < len(frame):
        if frame[at] == 0xFF:
            parts.payload = at + 1
            return
        head, at = frame[at], at + 1
        delta, at = _extended(head >> 4, frame, at)
        size, at = _extended(head & 0x0F, frame, at)
        number += delta
        if at + size > len(frame):
            raise _UnreadableError(f"option {number} is cut short")
        yield number, at, at + size
        at += size


def _extended(nibble: int, frame: bytes, at: int) -> tuple[int, int]:
    if nibble < 13:
        return nibble, at
    if nibble == 15:
        raise _UnreadableError("a reserved option header")
    size, base = (1, 13) if nibble == 13 else (2, 269)
    if at + size > len(frame):
        raise _UnreadableError("an option header is cut short")
    return base + int.from_bytes(frame[at : at + size], "big"), at + size


def show_code(code: int) -> str:
    """Return a code as RFC 7252 writes it, a request's with its method: ``0.02 POST``, ``2.05``."""
    dotted = f"{code >> 5}.{code & 31:02}"
    return f"{dotted} {_METHODS[code]}" if code in _METHODS else dotted


def describe(frame: bytes) -> dict[str, object]:
    """Return what a frame says, as JSON: type, code, path, query, other options and payload."""
    parts = split_message(frame)
    shown: dict[str, object] = {"type": parts.type, "code": show_code(parts.code), "id": parts.id}
    if parts.code == 0 and not parts.problem:
        shown["code"] = "ping" if parts.type == "CON" else "pong" if parts.type == "RST" else "0.00"
    if parts.token:
        shown["token"] = parts.token.hex()
    values = [(number, frame[start:end]) for number, start, end in parts.options]
    path = [value.decode(errors="replace") for number, value in values if number == _PATH]
    query = [value.decode(errors="replace") for number, value in values if number == _QUERY]
    if path:
        shown["path"] = "/" + "/".join(path)
    if query:
        shown["query"] = query
    others = {_NAMES.get(n, str(n)): _value(n, v) for n, v in values if n not in {_PATH, _QUERY}}
    if others:
        shown["options"] = others
    if parts.payload is not None:
        shown["payload"] = show_payload(frame[parts.payload :])
    if parts.problem:
        shown["problem"] = parts.problem
    return shown


def _value(number: int, value: bytes) -> object:
    if number in _TEXTS:
        return value.decode(errors="replace")
    if number in _BLOCKS:
        told = int.from_bytes(value, "big")
        more = "+" if told & 8 else ""
        return f"{told >> 4}{more} of {1 << (told & 7) + 4} bytes"
    return int.from_bytes(value, "big") if number in _NUMBERS else value.hex()


def show_payload(payload: bytes) -> str:
    """Return a payload as text, or as hex if it is none; the border of a block may cut a character."""
    start, end = _rest_of_character(payload), len(payload) - _begun_character(payload)
    try:
        text = payload[start:end].decode()
    except UnicodeDecodeError:
        return f"0x{payload.hex()}"
    if (payload and not text) or not all(c.isprintable() or c in "\r\n\t" for c in text):
        return f"0x{payload.hex()}"
    return _CUT * (start > 0) + text + _CUT * (end < len(payload))


def _rest_of_character(payload: bytes) -> int:
    """Return how many bytes at the beginning are the rest of a character of UTF-8, at most 3."""
    count = 0
    while count < min(3, len(payload)) and payload[count] & 0xC0 == 0x80:
        count += 1
    return count


def _begun_character(payload: bytes) -> int:
    """Return how many bytes at the end begin a character of UTF-8 that is not whole, at most 3."""
    for count in range(1, min(3, len(payload)) + 1):
        first = payload[-count]
        if first >= 0xC0:
            size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            return count if count < size else 0
        if first < 0x80:
            return 0
    return 0
