"""Accepting TLS connections so that a handshake that fails is told, with the peer and why.

asyncio's own server for TLS drops such connections without a word, so an operator looks for hours for a profile
with another CA. Here a connection is plain first, and TLS begins on it (`loop.start_tls`), whose errors are ours.
How often lines of one peer are logged is `base.log_limit`'s business.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from wire.errors import show

Carry = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

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
        open_limit: int,
    ) -> None:
        """Carry connections by ``carry``; ``open_limit`` handshakes may be under way at once."""
        self._carry = carry
        self._context = context
        self._handshake_seconds = handshake_seconds
        self._shutdown_seconds = shutdown_seconds
        self._open_limit = open_limit
        self._handshakes: set[asyncio.Task[None]] = set()

    async def start(self, **listen: Any) -> asyncio.Server:
        """Begin to accept; asyncio gets ``listen`` (host and port, or sock)."""
        return await asyncio.get_running_loop().create_server(
            lambda: _Beginning(self._begin), **listen
        )

    def close(self) -> None:
        """End the handshakes that are under way."""
        for task in self._handshakes:
            task.cancel()

    def _begin(self, transport: asyncio.Transport) -> None:
        if len(self._handshakes) >= self._open_limit:
            _log.warning(
                "%s: refused, %d handshakes are under way", _peer(transport), self._open_limit
            )
            transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._shake(transport))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _shake(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        peer = _peer(transport)
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, self._carry, loop=loop)
        try:
            secure = await loop.start_tls(
                transport, protocol, self._context, server_side=True,
                ssl_handshake_timeout=self._handshake_seconds,
                ssl_shutdown_timeout=self._shutdown_seconds,
            )  # fmt: skip
        except (OSError, ssl.SSLError) as error:
            _log.warning(
                "%s: TLS handshake failed: %s", peer, reason_of(error, self._handshake_seconds)
            )
            transport.abort()
            return
        except asyncio.CancelledError:
            transport.abort()
            raise
        if secure is not None:
            protocol.connection_made(secure)


class _Beginning(asyncio.Protocol):
    """A connection until its handshake begins, which is at once: nothing is read before."""

    def __init__(self, begin: Callable[[asyncio.Transport], None]) -> None:
        self._begin = begin

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.pause_reading()  # `start_tls` resumes
            self._begin(transport)


def _peer(transport: asyncio.BaseTransport) -> str:
    """Return the peer as ``address:port``, which the limit on repeated lines reads."""
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple) or len(name) < 2:
        return "?"
    host = f"[{name[0]}]" if ":" in str(name[0]) else name[0]
    return f"{host}:{name[1]}"
