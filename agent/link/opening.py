"""Opens a TLS connection to the profile's cloud, phase by phase; an error says in which it failed.

What passes by itself and what does not: a name server, a dead port, a TLS alert, a captive portal's
page and a server in trouble pass, so they are tried again in seconds. Only a chain that does not
verify, a host that does not match and a certificate out of date are a reason for a long wait.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agent.link import (
    ConnectError,
    LinkError,
    OutOfDateError,
    ResolveError,
    TlsError,
    UntrustedError,
)
from base.clock import TrustedTime
from base.tls_dates import CertificateDateError, check_dates, leave_dates
from transport.dial import Address, connect, name_for_tls, plain_name, resolve
from transport.tls_socket import limit_buffers, shake_hands

# Seconds to wait for TLS close_notify; asyncio's 30 s would delay the end of a half-open link.
GOODBYE_TIMEOUT = 2.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_Opened = TypeVar("_Opened")


class Opener:
    """Opens connections to one host; each phase has a deadline of its own."""

    def __init__(
        self, host: str, port: int, tls: ssl.SSLContext, timeout: float, clock: TrustedTime
    ) -> None:
        """Connect to ``host``; ``timeout`` in seconds, ``clock`` judges the certificates' dates."""
        self._host = host
        self._port = port
        self.tls = tls
        self._timeout = timeout
        self._clock = clock
        self._resolving: asyncio.Task[list[Address]] | None = None
        # The address on which TLS failed last: another one is tried before it.
        self._avoided: Address | None = None

    async def open(self) -> tuple[Streams, float]:
        """Return the streams of a trusted server, and when its certificate chain ends (Unix time).

        Raises:
            ResolveError, ConnectError, TlsError: by the phase that failed.
        """
        return await self._open(self._shake_hands)

    async def open_socket(self) -> tuple[ssl.SSLSocket, float]:
        """Return the same as a plain, non-blocking socket, for a library that has one; raises as `open`."""
        return await self._open(self._shake_hands_on_socket)

    async def _open(
        self, shake_hands: Callable[[socket.socket], Awaitable[tuple[_Opened, float]]]
    ) -> tuple[_Opened, float]:
        addresses = sorted(await self._resolve(), key=lambda found: found == self._avoided)
        sock, address = await self._connect(addresses)
        try:
            opened = await shake_hands(sock)
        except LinkError:
            self._avoided = address
            raise
        self._avoided = None
        return opened

    async def _resolve(self) -> list[Address]:
        # A look-up runs in a thread that cannot be ended: the next try waits for the same one.
        if self._resolving is None or self._resolving.done():
            self._resolving = asyncio.create_task(resolve(self._host, self._port))
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.shield(self._resolving)
        except TimeoutError as error:
            raise ResolveError(
                f"cannot connect: no name server answers for {self._host} within {self._timeout:g} s"
            ) from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that IDNA does not admit
            raise ResolveError(f"cannot connect: {self._host}: {_words(error)}") from error

    async def _connect(self, addresses: list[Address]) -> tuple[socket.socket, Address]:
        try:
            async with asyncio.timeout(self._timeout):
                return await connect(addresses)
        except TimeoutError as error:
            shown = ", ".join(map(str, addresses))
            raise ConnectError(
                f"cannot connect: no answer from {shown} within {self._timeout:g} s"
            ) from error
        except OSError as error:
            raise ConnectError(f"cannot connect: {_words(error)}") from error

    async def _shake_hands(self, sock: socket.socket) -> tuple[Streams, float]:
        try:
            async with asyncio.timeout(self._timeout):
                reader, writer = await asyncio.open_connection(
                    sock=sock,
                    ssl=self.tls,
                    # asyncio hands it to the context, which takes bytes.
                    server_hostname=plain_name(name_for_tls(self._host)),
                    ssl_shutdown_timeout=GOODBYE_TIMEOUT,
                )
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError):
                raise tls_error(error, self._timeout) from error
            raise
        try:
            return (reader, writer), check_dates(writer.get_extra_info("ssl_object"), self._clock)
        except CertificateDateError as error:
            writer.transport.abort()
            raise tls_error(error, self._timeout) from error

    async def _shake_hands_on_socket(self, sock: socket.socket) -> tuple[ssl.SSLSocket, float]:
        try:
            async with asyncio.timeout(self._timeout):
                wrapped = await shake_hands(sock, self._host, self.tls)
        except OSError as error:
            raise tls_error(error, self._timeout) from error
        try:
            return wrapped, check_dates(wrapped, self._clock)
        except CertificateDateError as error:
            wrapped.close()
            raise tls_error(error, self._timeout) from error


def tls_error(error: OSError, timeout: float) -> TlsError:
    """Return the error for a handshake that failed; ``timeout`` (seconds) is the one that it had."""
    match error:
        case CertificateDateError():
            return OutOfDateError(f"the server's certificate is refused: {error.verify_message}")
        case ssl.SSLCertVerificationError():
            return UntrustedError(f"the server's certificate is refused: {error.verify_message}")
        case ssl.SSLError():
            return TlsError(f"TLS failed: {error.reason or error}")
        case TimeoutError():
            return TlsError(f"TLS failed: no answer within {timeout:g} s")
        case _:
            # asyncio's error has no text if the server hangs up during the handshake.
            return TlsError(f"TLS failed: {_words(error)}")


def _words(error: Exception) -> str:
    """Return an error's reason, which is never empty."""
    return getattr(error, "strerror", None) or str(error) or "closed by the other side"


def tls_context(ca_pem: str) -> ssl.SSLContext:
    """Return a context that trusts only the given CA, checks the host and requires TLS 1.2+.

    It does not check the certificates' dates; `base.tls_dates.check_dates` does.
    """
    limit_buffers()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=ca_pem)
    return leave_dates(context)
