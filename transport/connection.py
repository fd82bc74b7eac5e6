"""One framed connection, as the remote endpoint that aiocoap sends to and receives from."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any, Protocol

from aiocoap import interfaces

from transport.blocks import BlockTransfers
from transport.dial import show_server
from transport.messages import RecentRequests
from wire.exchange import Handler
from wire.framing import encode_frame

# Bytes, about 200 control messages: limits the memory that a peer that stops reading can use.
WRITE_BUFFER_LIMIT = 256 * 1024
# RFC 7959: 1,024-byte blocks, so that 2017 firmware (2,048 bytes a read) can read every message.
BLOCK_SIZE_EXPONENT = 6
PAYLOAD_LIMIT = 1024


class Tap(Protocol):
    """Whoever looks at the bytes of one connection; it must not block."""

    def heard(self, data: bytes) -> None:
        """See bytes from the other side, in the pieces in which they came."""

    def sent(self, frame: bytes) -> None:
        """See one whole frame that goes to the other side."""


class Connection(interfaces.EndpointAddress):
    """A framed stream. Compared by identity, so it never inherits an earlier connection's state."""

    scheme = "coaps+framed"
    is_multicast = False
    is_multicast_locally = False
    maximum_block_size_exp = BLOCK_SIZE_EXPONENT  # aiocoap lowers it if the peer asks for less
    maximum_payload_size = PAYLOAD_LIMIT

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Wrap an open stream's ``reader`` and ``writer``."""
        self.reader = reader
        self._writer = writer
        self._why: str | None = None
        self._closing = False
        # What is needed to serve this peer; it is discarded with the connection.
        self.handler: Handler | None = None
        self.recent = RecentRequests()
        self.transfers = BlockTransfers()
        self.serving = 0
        self.unreadable = 0
        # Whether the other side took part in the close; only TLS asks it to.
        self.closed_by_both = False
        self.tap: Tap | None = None
        """Sees what comes and what is sent; None: nobody does."""
        self._socket: socket.socket | None = writer.get_extra_info("socket")
        # When bytes last came from the other side, by the loop's clock.
        self.heard_at = asyncio.get_running_loop().time()
        peer = writer.get_extra_info("peername")
        self._peer = show_server(*peer[:2]) if isinstance(peer, tuple) else "stream"

    def __repr__(self) -> str:
        return f"<Connection {self._peer}>"

    @property
    def hostinfo(self) -> str:
        """The peer's address and port."""
        return self._peer

    hostinfo_local = hostinfo

    @property
    def uri_base(self) -> str:
        """The peer's address as a URI, for aiocoap's messages."""
        return f"{self.scheme}://{self._peer}"

    uri_base_local = uri_base

    @property
    def blockwise_key(self) -> object:
        """The scope within which aiocoap may combine blocks: this connection."""
        return self

    @property
    def close_reason(self) -> str | None:
        """The reason given to the first `close`, None before that."""
        return self._why

    def send(self, message: bytes) -> None:
        """Frame and write a message; dropped if the stream is closed.

        Aborts the connection if more than WRITE_BUFFER_LIMIT bytes remain unsent.
        """
        if self._writer.is_closing():
            return
        frame = encode_frame(message)
        self._writer.write(frame)
        if self.tap is not None:
            self.tap.sent(frame)
        if self._writer.transport.get_write_buffer_size() > WRITE_BUFFER_LIMIT:
            self.close("the other side stopped reading")
            self.abort()

    def close(self, reason: str) -> None:
        """Start closing the stream; the reading side then ends with ``reason``."""
        self._why = self._why or reason
        # Only once: if a TLS transport is closed twice, Python before 3.11.4 loses its protocol and
        # can then neither close nor abort it.
        if not self._closing:
            self._closing = True
            self._writer.close()

    @property
    def handle(self) -> socket.socket | None:
        """The socket under the stream, None if it has none."""
        return self._socket

    @property
    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._writer.is_closing()

    def reset(self, reason: str) -> None:
        """Drop the connection at once, with the given ``reason`` for its end."""
        self._why = self._why or reason
        self.abort()

    def abort(self) -> None:
        """Drop the connection and discard unsent data. Does nothing if the stream is closed."""
        handle = self._socket
        if handle is not None and handle.family != socket.AF_UNIX and handle.fileno() >= 0:
            # Otherwise the system goes on to send what it has, for minutes, after the close.
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Before Python 3.11.4, a fully closed TLS transport has no protocol left.
        with contextlib.suppress(AttributeError):
            self._writer.transport.abort()

    async def wait_closed(self, deadline: float) -> None:
        """Wait until the stream is closed; abort it after ``deadline`` seconds."""
        try:
            async with asyncio.timeout(deadline):
                with contextlib.suppress(OSError):
                    await self._writer.wait_closed()
                    self.closed_by_both = True
        except TimeoutError:
            self.abort()

    def get_extra_info(self, name: str) -> Any:
        """Return information about the asyncio transport, such as ``ssl_object``."""
        return self._writer.get_extra_info(name)
