"""Opens a TLS connection as a plain socket, for a library that reads and writes a socket itself.

asyncio's own TLS hides the socket. Here the handshake runs on it without blocking the event loop.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from transport.dial import connect, name_for_tls, plain_name, resolve

# Milliseconds that sent data may stay unacknowledged (tcp(7), TCP_USER_TIMEOUT): with a keepalive
# of 20 s, a dead path is known within 30 s.
USER_TIMEOUT_MS = 10_000
# A little over the longest TLS record (RFC 8446 section 5.1). asyncio's own 256 KiB for each connection are a hundredth of
# an idle agent, and stay until the next collection of garbage: strangers who sent no TLS took 290 MB in ten seconds.
BUFFER_BYTES = 20 * 1024


def limit_buffers() -> None:
    """Give asyncio's TLS connections small buffers, from now on."""
    from asyncio import sslproto  # noqa: PLC0415  # loaded with the first of them anyway

    sslproto.SSLProtocol.max_size = BUFFER_BYTES


async def open_tls(host: str, port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a connected, non-blocking TLS socket; the caller sets the deadline.

    Args:
        host: a name or an address.
        port: the port.
        context: verifies the server, or does not.

    Raises:
        OSError: no address, no connection, or TLS failed (ssl.SSLError).
    """
    plain, _ = await connect(await resolve(host, port))
    return await shake_hands(plain, host, context)


async def shake_hands(plain: socket.socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a TLS socket on a connected one, which is closed on every failure; raises as `open_tls`."""
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        wrapped = context.wrap_socket(
            plain, server_hostname=plain_name(name_for_tls(host)), do_handshake_on_connect=False
        )
    except BaseException:
        plain.close()
        raise
    try:
        await _shake(wrapped)
    except BaseException:
        wrapped.close()
        raise
    return wrapped


async def _shake(wrapped: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            wrapped.do_handshake()
        except ssl.SSLWantReadError:
            await _until(wrapped, loop.add_reader, loop.remove_reader)
        except ssl.SSLWantWriteError:
            await _until(wrapped, loop.add_writer, loop.remove_writer)
        else:
            return


async def _until(
    waited: ssl.SSLSocket,
    add: Callable[..., object],
    remove: Callable[[ssl.SSLSocket], object],
) -> None:
    """Wait until the socket can be read or written."""
    ready = asyncio.Event()
    add(waited, ready.set)
    try:
        await ready.wait()
    finally:
        remove(waited)
