"""Framing of CoAP messages on a byte stream (device protocol, "Link").

Each message is an 8-byte header, two big-endian uint32 (the magic 0xBEEFDEAD and the length of what
follows), then one CoAP message in the UDP encoding of RFC 7252. This is not RFC 8323 framing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from wire.errors import WireError

MAGIC = 0xBEEFDEAD
HEADER = struct.Struct(">II")
# RFC 7252 section 3: a CoAP message has at least its 4-byte header.
MIN_LENGTH = 4
# Block-wise transfer keeps messages under about 1.2 kB; 16 KiB leaves room for peers without it and
# still bounds the memory that one connection can use.
MAX_LENGTH = 16 * 1024


class FramingError(WireError):
    """The framing is invalid; the rest of the stream cannot be decoded."""


class BadMagicError(FramingError):
    """A message does not start with the magic."""


class FrameLengthError(FramingError):
    """A message's length is outside the accepted range."""


def encode_frame(message: bytes) -> bytes:
    """Prepend the 8-byte header to one encoded CoAP message.

    Raises:
        FrameLengthError: the message is shorter than a CoAP header or longer than MAX_LENGTH.
    """
    _check_length(len(message), MAX_LENGTH)
    return HEADER.pack(MAGIC, len(message)) + message


class FrameDecoder:
    """Splits a byte stream, received in arbitrary chunks, into messages.

    An error is permanent: whatever is fed later, the same error is raised.
    """

    def __init__(self, max_length: int = MAX_LENGTH) -> None:
        """Start at a message boundary; ``max_length`` is in bytes, header excluded."""
        self._buffer = bytearray()
        self._max_length = max_length
        self._error: FramingError | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes of the stream; yield the messages they complete, in order.

        Messages completed before an error are yielded before it is raised. Messages that the caller
        does not take are yielded by the next call.

        Raises:
            BadMagicError: a header does not start with the magic.
            FrameLengthError: a header announces a length outside 4..max_length.
        """
        if self._error is None:
            self._buffer += data
        return self._messages()

    def _messages(self) -> Iterator[bytes]:
        if self._error is not None:
            raise self._error
        try:
            while (message := self._next()) is not None:
                yield message
        except FramingError as error:
            self._error = error
            self._buffer.clear()
            raise

    @property
    def pending(self) -> int:
        """The number of buffered bytes of an incomplete message."""
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
