"""Accepting TLS connections so that a handshake that fails is told, with the peer and why.

asyncio's own server for TLS drops such connections without a word, so an operator looks for hours for a profile
with another CA. Here a connection is a socket first, in whose queue few are let in (`staging.doorman`); then TLS begins on
it, whose errors are ours. How often lines of one peer are logged is `base.log_limit`'s business.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable

from staging.crowd import DoorLimits
from staging.doorman import Doorman, Settle
from staging.gateway.diversions import Diversions
from wire.errors import show

Carry = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Settle], Awaitable[None]]
"""Carries a connection to its end; calls the function when it is known who it is."""

Dress = Callable[[asyncio.Transport], asyncio.Transport]

# Seconds beyond the deadline of a close until a connection is dropped.
CLOSE_SECONDS = 1.0

_log = logging.getLogger(__name__)

# OpenSSL's reasons, and what they mean to whoever set up the two ends.
MEANINGS = {
    "TLSV1_ALERT_UNKNOWN_CA": "the peer does not trust this cloud's CA: another rsaCaCrt in its profile?",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer refused our certificate: is its host one of --public-host?",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the peer takes our certificate for expired: which clock is wrong?",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer refused our certificate: its CA, host or dates",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the peer wants another version of TLS",
    "UNSUPPORTED_PROTOCOL": "the peer wants a version of TLS older than 1.2",
    "NO_SHARED_CIPHER": "no common cipher: 2017 firmware needs --legacy-tls",
    "HTTP_REQUEST": "the peer speaks HTTP: is the API's port meant?",
    "WRONG_VERSION_NUMBER": "the peer does not speak TLS",
}


def reason_of(error: BaseException, seconds: float) -> str:
    """Return in words why a handshake failed; ``seconds`` is its deadline."""
    if isinstance(error, ssl.SSLError):
        name = error.reason or ""
        meaning = MEANINGS.get(name)
        return f"{meaning} ({name})" if meaning else name or show(str(error))
    if isinstance(error, ConnectionAbortedError):
        return f"it took longer than {seconds:g} s"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)) or not str(error):
        return "the peer closed the connection: a check of the port, or it did not accept our certificate"
    return show(str(error))


class TlsServer:
    """Accepts connections, does their handshakes, and carries those that succeed."""

    def __init__(
        self,
        carry: Carry,
        context: ssl.SSLContext,
        *,
        handshake_seconds: float,
        shutdown_seconds: float,
        limits: DoorLimits,
        dress: Dress | None = None,
        name: str = "device port",
        diversions: Diversions | None = None,
    ) -> None:
        """Carry connections by ``carry``; ``limits`` hold before TLS begins; ``name`` is for the log.

        ``dress`` returns what TLS is to use in place of a plain transport; ``diversions`` has the
        addresses that are the advisor's for now.
        """
        self._dress = dress
        self._diversions = diversions
        self._carry = carry
        self._context = context
        self._handshake_seconds = handshake_seconds
        self._shutdown_seconds = shutdown_seconds
        self._doorman = Doorman(name, self._serve, limits, half_closes=False)

    def __len__(self) -> int:
        """Return how many connections are open, those without a handshake among them."""
        return len(self._doorman)

    def start(self, listener: socket.socket) -> None:
        """Begin to accept on a listening socket, which stays the caller's."""
        self._doorman.open(listener)

    def close(self) -> None:
        """Accept no more, and end the handshakes that are under way."""
        self._doorman.close()

    async def _serve(self, sock: socket.socket, settle: Settle) -> None:
        if await self._is_led_away(sock, settle):
            return
        peer = _peer(sock)
        served = _Served(self._carry, settle)
        try:
            transport = await self._shake(sock, served)
            if served.carried is None:  # asyncio takes a reset in the handshake for its end
                raise ConnectionResetError
        except (OSError, ssl.SSLError) as error:
            _log.warning(
                "%s: TLS handshake failed: %s", peer, reason_of(error, self._handshake_seconds)
            )
            return
        await served.carried
        # The other side takes part in the close of TLS, or not.
        try:
            async with asyncio.timeout(self._shutdown_seconds + CLOSE_SECONDS):
                await served.closed.wait()
        except TimeoutError:
            transport.abort()

    async def _shake(self, sock: socket.socket, served: _Served) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        if self._dress is None:
            made, _ = await loop.connect_accepted_socket(
                lambda: served, sock, ssl=self._context,
                ssl_handshake_timeout=self._handshake_seconds,
                ssl_shutdown_timeout=self._shutdown_seconds,
            )  # fmt: skip
            return made
        plain, _ = await loop.connect_accepted_socket(_Unread, sock)
        secure = await loop.start_tls(
            self._dress(plain), served, self._context, server_side=True,
            ssl_handshake_timeout=self._handshake_seconds,
            ssl_shutdown_timeout=self._shutdown_seconds,
        )  # fmt: skip
        if secure is None:  # it was reset
            raise ConnectionResetError
        served.connection_made(secure)
        return secure

    async def _is_led_away(self, sock: socket.socket, settle: Settle) -> bool:
        """Carry a connection to the advisor whose device is under its hands; return whether it was one."""
        if self._diversions is None:
            return False
        address = _peer(sock).rpartition(":")[0].strip("[]")
        port = self._diversions.port_for(address)
        if not port:
            return False
        settle()
        await self._diversions.carry(sock, address, port)
        return True


class _Unread(asyncio.Protocol):
    """A connection until TLS begins on it: nothing is read before, and `start_tls` resumes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.pause_reading()


class _Served(asyncio.StreamReaderProtocol):
    """A connection whose handshake has succeeded; ``carried`` ends with it."""

    def __init__(self, carry: Carry, settle: Settle) -> None:
        self.carried: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()
        self._carry, self._settle = carry, settle
        super().__init__(asyncio.StreamReader(), self._connected)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        work = self._carry(reader, writer, self._settle)
        self.carried = asyncio.ensure_future(work)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the socket is closed."""
        super().connection_lost(exc)
        self.closed.set()


def _peer(sock: socket.socket) -> str:
    """Return the peer as ``address:port``, which the limit on repeated lines reads."""
    try:
        name = sock.getpeername()
    except OSError:  # it has gone already
        return "?"
    if not isinstance(name, tuple) or len(name) < 2:
        return "?"
    host = f"[{name[0]}]" if ":" in str(name[0]) else name[0]
    return f"{host}:{name[1]}"
