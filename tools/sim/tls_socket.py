"""TLS on a simulated socket that a library reads and writes itself, as paho does: an `ssl.SSLSocket` of no system.

As in `tools.sim.net`, a handshake takes its round trips, and nothing is computed.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from tools.sim.sockets import SimSocket, SimTransport

real_wrap = ssl.SSLContext.wrap_socket


class SimTlsSocket(asyncio.Protocol):
    """One end, by a client; non-blocking."""

    def __init__(self, plain: SimSocket, context: ssl.SSLContext) -> None:
        """Take the place of a connected socket."""
        if plain.pair is None:
            raise OSError(107, "Transport endpoint is not connected")
        self._plain, self._context, self._net = plain, context, plain.pair.net
        self._data = bytearray()
        self._shaking: asyncio.Task[None] | None = None
        self._transport: SimTransport | None = None
        self._error: OSError | None = None
        self._is_over = self._is_closed = False
        SimSocket.by_number[plain.number] = self

    def fileno(self) -> int:
        """As a socket's."""
        return self._plain.fileno()

    @property
    def has_something(self) -> bool:
        """Whether reading would not wait."""
        return bool(self._data) or self._is_over or self._error is not None

    def setblocking(self, _flag: bool) -> None:  # noqa: FBT001  # as the library's
        """Never block anyway."""

    # The handshake.

    def do_handshake(self) -> None:
        """As ssl.SSLSocket's: raises ssl.SSLWantReadError until it is done, or OSError."""
        if self._shaking is None:
            self._shaking = asyncio.get_running_loop().create_task(self._shake())
        if self._error is not None:
            raise self._error
        if self._transport is None:
            raise ssl.SSLWantReadError

    async def _shake(self) -> None:
        try:
            self._transport = await self._net.begin(
                self._plain, self, self._context, None, is_client=True
            )
        except OSError as error:
            self._error = error
        self._net.tell(self)

    @property
    def _sslobj(self) -> Any:
        """What knows the other end's certificates."""
        return self._tls._sslobj  # noqa: SLF001  # as the product asks for it

    @property
    def context(self) -> Any:
        """What was trusted."""
        return self._tls

    @property
    def _tls(self) -> Any:
        return None if self._transport is None else self._transport.get_extra_info("ssl_object")

    # What comes.

    def data_received(self, data: bytes) -> None:
        """Have something to read."""
        self._data += data
        self._net.tell(self)

    def eof_received(self) -> bool:
        """Have an end to read."""
        self._is_over = True
        self._net.tell(self)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Have an end, or an error."""
        self._is_over = True
        if isinstance(exc, OSError):
            self._error = exc
        self._net.tell(self)

    # What the library asks for.

    def recv(self, size: int) -> bytes:
        """As ssl.SSLSocket's: b"" at the end; raises ssl.SSLWantReadError, OSError."""
        if self._data:
            found = bytes(self._data[:size])
            del self._data[:size]
            if not self._data and self.has_something:
                self._net.tell(self)  # the end is to be read still
            return found
        if self._error is not None:
            raise self._error
        if not self._is_over:
            raise ssl.SSLWantReadError
        return b""

    def send(self, data: Any) -> int:
        """As ssl.SSLSocket's; the system takes all. Raises OSError."""
        if self._error is not None:
            raise self._error
        if self._transport is None or self._transport.is_closing():
            raise BrokenPipeError(32, "Broken pipe")
        self._transport.write(bytes(data))
        return len(data)

    def pending(self) -> int:
        """Return how much can be read at once."""
        return len(self._data)

    def close(self) -> None:
        """As a socket's: what was sent arrives, and then an end without one of TLS."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._shaking is not None:
            self._shaking.cancel()
        if self._transport is not None:
            self._transport.close()
        self._plain.close()


def _wrap(self: ssl.SSLContext, sock: Any, *arguments: Any, **words: Any) -> Any:
    if isinstance(sock, SimSocket):
        return SimTlsSocket(sock, self)
    return real_wrap(self, sock, *arguments, **words)


def install() -> None:
    """Let the library's TLS be a simulated one on simulated sockets, from now on."""
    ssl.SSLContext.wrap_socket = _wrap  # type: ignore[method-assign]
