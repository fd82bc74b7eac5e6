"""One connection as aiocoap sees it: a remote that messages are sent to and come from."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiocoap import interfaces

from transport.blocks import BlockTransfers
from transport.messages import RecentRequests
from wire.framing import encode_frame

# A peer that stops reading must not make us hold its messages: about 200 control messages.
WRITE_BUFFER_LIMIT = 256 * 1024
# RFC 7959: 1,024-byte blocks, so that 2017 firmware (2,048 bytes a read) takes every message.
BLOCK_SIZE_EXPONENT = 6
PAYLOAD_LIMIT = 1024


class Connection(interfaces.EndpointAddress):
    """A framed stream; compares by identity, so that nothing outlives a connection by its address."""

    scheme = "coaps+framed"
    is_multicast = False
    is_multicast_locally = False
    maximum_block_size_exp = BLOCK_SIZE_EXPONENT  # aiocoap lowers it when a peer asks for less
    maximum_payload_size = PAYLOAD_LIMIT

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Wrap an open stream."""
        self.reader = reader
        self._writer = writer
        self._why: str | None = None
        self._closing = False
        # What serving this peer needs to remember; it ends with the connection.
        self.recent = RecentRequests()
        self.transfers = BlockTransfers()
        self.serving = 0
        self.unreadable = 0
        peer = writer.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "stream"

    def __repr__(self) -> str:
        return f"<Connection {self._peer}>"

    @property
    def hostinfo(self) -> str:
        """The peer's address and port."""
        return self._peer

    hostinfo_local = hostinfo

    @property
    def uri_base(self) -> str:
        """The peer as a URI, for messages."""
        return f"{self.scheme}://{self._peer}"

    uri_base_local = uri_base

    @property
    def blockwise_key(self) -> object:
        """Blocks may only be combined within one connection."""
        return self

    @property
    def close_reason(self) -> str | None:
        """Why our side closed the connection, or None while it has not."""
        return self._why

    def send(self, message: bytes) -> None:
        """Frame a message and write it; a closed or clogged connection drops it."""
        if self._writer.is_closing():
            return
        self._writer.write(encode_frame(message))
        if self._writer.transport.get_write_buffer_size() > WRITE_BUFFER_LIMIT:
            self.close("the other side stopped reading")
            self.abort()

    def close(self, reason: str) -> None:
        """Begin to close; the reading side ends with ``reason``."""
        self._why = self._why or reason
        # Once: Python before 3.11.4 forgets the protocol of a TLS transport that is closed twice, and
        # then can neither end nor cut it.
        if not self._closing:
            self._closing = True
            self._writer.close()

    def abort(self) -> None:
        """Cut the stream; what is not written yet is lost. Does nothing when it is closed."""
        # A TLS transport that is all closed has no protocol left in Python before 3.11.4.
        with contextlib.suppress(AttributeError):
            self._writer.transport.abort()

    async def wait_closed(self, deadline: float) -> None:
        """Wait until the stream is closed; after ``deadline`` seconds it is cut."""
        try:
            async with asyncio.timeout(deadline):
                with contextlib.suppress(OSError):
                    await self._writer.wait_closed()
        except TimeoutError:
            self.abort()

    def get_extra_info(self, name: str) -> Any:
        """Return what asyncio knows of the transport, such as ``ssl_object``."""
        return self._writer.get_extra_info(name)
