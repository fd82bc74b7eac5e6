"""A TLS connection as a plain socket: none is left open by a failure, and the event loop is never blocked."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import sslproto
from typing import Any

import pytest

from tests.authority import LOOPBACK, Authority
from transport import tls_socket
from transport.dial import connect
from transport.tls_socket import limit_buffers, open_tls, shake_hands


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read(100))
    writer.close()


async def test_a_server_that_nobody_vouches_for_gets_no_connection(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await asyncio.start_server(echo, LOOPBACK, 0, ssl=authority.server_context())
    port = server.sockets[0].getsockname()[1]
    opened: list[socket.socket] = []

    async def noted(*words: Any) -> Any:
        found = await connect(*words)
        opened.append(found[0])
        return found

    monkeypatch.setattr(tls_socket, "connect", noted)
    with pytest.raises(ssl.SSLCertVerificationError):
        await open_tls(LOOPBACK, port, ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        await open_tls("localhost.", port, ssl.create_default_context())
    assert [sock.fileno() for sock in opened] == [-1, -1]
    sock = await open_tls(LOOPBACK, port, authority.client_context())
    loop = asyncio.get_running_loop()
    sock.send(b"hello")
    readable = asyncio.Event()
    loop.add_reader(sock, readable.set)
    await readable.wait()
    loop.remove_reader(sock)
    assert not sock.getblocking()
    sock.close()
    server.close()


async def test_a_name_that_tls_cannot_ask_for_closes_the_socket() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    theirs.close()
    with pytest.raises((OSError, ValueError)):
        await shake_hands(ours, ".", ssl.create_default_context())
    assert ours.fileno() == -1


class Handshake:
    """A socket that can be written at once, whose handshake first wants to write: the system's buffer is never full here."""

    def __init__(self, under: socket.socket) -> None:
        self._under, self.steps = under, 0

    def fileno(self) -> int:
        return self._under.fileno()

    def do_handshake(self) -> None:
        self.steps += 1
        if self.steps < 3:
            raise ssl.SSLWantWriteError


async def test_a_handshake_that_has_to_write_waits_until_it_can() -> None:
    ours, theirs = socket.socketpair()
    waiting: Any = Handshake(ours)
    async with asyncio.timeout(60):
        await tls_socket._shake(waiting)
    assert waiting.steps == 3
    assert not asyncio.get_running_loop().remove_writer(ours)  # nothing is left to be told of
    ours.close()
    theirs.close()


def test_buffers_hold_a_record_of_the_longest_and_little_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sslproto.SSLProtocol, "max_size", 256 * 1024)
    limit_buffers()
    assert 16 * 1024 + 256 < sslproto.SSLProtocol.max_size < 32 * 1024
