"""Framing of CoAP messages on a byte stream (device protocol, "Link").

Each message is an 8-byte header, two big-endian uint32 (the magic 0xBEEFDEAD and the length of what
follows), then one CoAP message in the UDP encoding of RFC 7252. It is not the framing of RFC 8323.
"""

from __future__ import annotations

import struct

from wire.errors import WireError

MAGIC = 0xBEEFDEAD
HEADER = struct.Struct(">II")
# RFC 7252 section 3: a CoAP message has at least its 4-byte header.
MIN_LENGTH = 4
# Block-wise transfer keeps messages under about 1.2 kB; 16 KiB leaves room for peers without it and
# still bounds what one connection can make us hold.
MAX_LENGTH = 16 * 1024
# The 2017 reference client reads at most this many bytes a message, its header included.
LEGACY_READ_LIMIT = 2048


class FramingError(WireError):
    """The stream is not framed as it must be; nothing after this point can be trusted."""


class BadMagicError(FramingError):
    """A message does not start with the magic."""


class FrameLengthError(FramingError):
    """A header announces a length that no CoAP message may have here."""


def encode_frame(message: bytes) -> bytes:
    """Put the 8-byte header before one encoded CoAP message.

    Raises:
        FrameLengthError: the message is shorter than a CoAP header or longer than MAX_LENGTH.
    """
    _check_length(len(message), MAX_LENGTH)
    return HEADER.pack(MAGIC, len(message)) + message


class FrameDecoder:
    """Cuts a byte stream into messages, whatever pieces it arrives in.

    After an error the decoder stays in error: every later call raises the same error again.
    """

    def __init__(self, max_length: int = MAX_LENGTH) -> None:
        """Start at a message boundary; ``max_length`` bounds a message in bytes, header excluded."""
        self._buffer = bytearray()
        self._max_length = max_length
        self._error: FramingError | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream and return the messages they complete, in order.

        Raises:
            BadMagicError: a header starts with something else than the magic.
            FrameLengthError: a header announces a length outside 4..max_length.
        """
        messages: list[bytes] = []
        if self._error is None:
            self._buffer += data
            try:
                while (message := self._next()) is not None:
                    messages.append(message)
            except FramingError as error:
                self._error = error
                self._buffer.clear()
        # What came whole before the fault is still delivered; the fault then meets the next call.
        if self._error is not None and not messages:
            raise self._error
        return messages

    @property
    def error(self) -> FramingError | None:
        """The fault that ended this stream, also when the last feed still returned messages."""
        return self._error

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete message are held."""
        return len(self._buffer)

    def _next(self) -> bytes | None:
        head = bytes(self._buffer[: HEADER.size])
        magic = MAGIC.to_bytes(4, "big")
        if not magic.startswith(head[:4]):
            raise BadMagicError(f"bad magic: got 0x{head[:4].hex()}, expected 0x{magic.hex()}")
        if len(head) < HEADER.size:
            return None
        length = HEADER.unpack(head)[1]
        _check_length(length, self._max_length)
        end = HEADER.size + length
        if len(self._buffer) < end:
            return None
        message = bytes(self._buffer[HEADER.size : end])
        del self._buffer[:end]
        return message


def _check_length(length: int, limit: int) -> None:
    if not MIN_LENGTH <= length <= limit:
        raise FrameLengthError(
            f"frame length: got {length} bytes, expected {MIN_LENGTH} to {limit}"
        )
