"""Splits what a device and the cloud say into frames, whole and malformed ones. No I/O.

A splitter never raises: what is no frame is one too, with its ``problem``. Behind a malformed one nothing can be told
apart any more, and neither side reads on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from wire.framing import HEADER, MAGIC, MAX_LENGTH, MIN_LENGTH

# Bytes of one frame that are kept; the largest of ours is below.
KEPT_BYTES = 64 * 1024
# Bytes of a stream that is no frame; the rest is counted.
BROKEN_BYTES = 4096
# MQTT 5 section 1.5.5: a length has at most four bytes.
_LENGTH_BYTES = 4
_MAGIC = MAGIC.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class Piece:
    """One frame as it came, or what came in place of one.

    Attributes:
        data: its bytes, cut after KEPT_BYTES.
        size: all its bytes.
        problem: why it is none; "": it is a frame.
    """

    data: bytes
    size: int
    problem: str = ""


def _piece(data: bytes, problem: str = "") -> Piece:
    return Piece(data[:KEPT_BYTES], len(data), problem)


class Splitter(Protocol):
    """Splits one direction of one connection."""

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take the next bytes; yield the frames that they complete."""

    def end(self) -> Iterator[Piece]:
        """Yield what is left at the connection's end."""


class _Buffered:
    """What both splitters share: a bounded buffer, and the end of a stream that is broken."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_broken = False

    def _break(self, problem: str) -> Iterator[Piece]:
        self._is_broken = True
        left = bytes(self._buffer)
        self._buffer.clear()
        yield Piece(left[:BROKEN_BYTES], len(left), problem)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def end(self) -> Iterator[Piece]:
        """Yield the beginning of a frame that did not come whole."""
        if self._buffer:
            yield from self._break(
                f"the connection ended within a frame: {len(self._buffer)} bytes of it"
            )


class FramedSplitter(_Buffered):
    """Splits framed CoAP (`wire.framing`)."""

    def __init__(self, *, is_joined: bool = False) -> None:
        """Begin at a frame's first byte; ``is_joined``: in the middle, at the next one that is found."""
        super().__init__()
        self._is_joined = is_joined

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take the next bytes; yield the frames that they complete."""
        if self._is_broken:
            return
        self._buffer += data
        if self._is_joined and not self._join():
            return
        while self._buffer:
            if not _MAGIC.startswith(bytes(self._buffer[:4])):
                yield from self._break(
                    f"no magic: got 0x{self._buffer[:4].hex()}, expected 0x{_MAGIC.hex()}"
                )
                return
            if len(self._buffer) < HEADER.size:
                return
            length = HEADER.unpack_from(self._buffer)[1]
            if not MIN_LENGTH <= length <= MAX_LENGTH:
                yield from self._break(
                    f"frame length: got {length} bytes, expected {MIN_LENGTH} to {MAX_LENGTH}"
                )
                return
            if len(self._buffer) < HEADER.size + length:
                return
            yield _piece(self._take(HEADER.size + length))

    def _join(self) -> bool:
        """Find the first frame of a stream that was joined in the middle."""
        at = self._buffer.find(_MAGIC)
        if at < 0:
            del self._buffer[: max(0, len(self._buffer) - len(_MAGIC) + 1)]
            return False
        del self._buffer[:at]
        self._is_joined = False
        return True


class MqttSplitter(_Buffered):
    """Splits MQTT control packets (MQTT 5 section 2.1)."""

    def __init__(self, limit: int = 256 * 1024) -> None:
        """Begin at a packet's first byte; a longer one than ``limit`` bytes is taken for malformed."""
        super().__init__()
        self._limit = limit

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take the next bytes; yield the packets that they complete."""
        if self._is_broken:
            return
        self._buffer += data
        while len(self._buffer) >= 2:
            if not self._buffer[0] >> 4:
                yield from self._break("packet type 0 is reserved")
                return
            found = read_length(self._buffer, 1)
            if found is None:
                if len(self._buffer) <= _LENGTH_BYTES:
                    return
                yield from self._break("the packet's length has more than 4 bytes")
                return
            length, start = found
            if start + length > self._limit:
                yield from self._break(
                    f"packet length: got {length} bytes, more than {self._limit}"
                )
                return
            if len(self._buffer) < start + length:
                return
            yield _piece(self._take(start + length))


def read_length(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Return the variable byte integer at ``at``, and where the next byte is; None: it is not whole, or none."""
    value = 0
    for index, byte in enumerate(data[at : at + _LENGTH_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    return None
