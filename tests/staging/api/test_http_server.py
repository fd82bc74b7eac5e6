"""HTTP connections on a real socket: deadlines and limits, and TLS beside plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from staging.api import http_server
from staging.api.http_server import ApiServer
from staging.identity import ca
from staging.listening import listen
from staging.web_tls import WebTls, make_context


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body, then say how it was asked."""
    while (await receive()).get("more_body"):
        pass
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}
    )
    await send({"type": "http.response.body", "body": scope["scheme"].encode().ljust(5)})


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[int]:
    server = ApiServer(answer, **options)
    listener = listen("127.0.0.1", 0, "--api-port")
    task = asyncio.create_task(server.serve([listener]))
    await server.accepting.wait()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        async with asyncio.timeout(30):
            await task


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the other side ends the connection."""
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
    return b""


REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines that a test can wait for."""
    monkeypatch.setattr(http_server, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.05)
    monkeypatch.setattr(http_server, "BODY_SECONDS", 0.05)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-A:", REQUEST + b"GET /",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
    ],
)  # fmt: skip
async def test_a_request_that_does_not_go_on_is_ended(begun: bytes) -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        assert (await ended(reader)).count(b"200 OK") == begun.count(REQUEST)
        writer.close()


async def test_a_head_without_an_end_is_ended() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            writer.write(REQUEST[:-2] + b"X-A: ")
            for _ in range(8):
                writer.write(b"x" * (http_server.HEAD_LIMIT // 4))
                await writer.drain()
        assert b"200 OK" not in await ended(reader)
        writer.close()


async def test_a_long_body_before_it_does_not_end_the_next_request() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b"x" * (2 * http_server.HEAD_LIMIT)
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        for piece in (head + body, REQUEST[:10], REQUEST[10:]):
            writer.write(piece)
            await writer.drain()
            if piece != REQUEST[:10]:
                async with asyncio.timeout(30):
                    assert b"200" in await reader.readuntil(b"http ")
        writer.close()


async def test_one_more_takes_the_place_of_the_oldest_idle_one_of_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "CONNECTIONS_EACH", 3)
    async with serving() as port:
        opened = []
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            async with asyncio.timeout(30):
                await reader.readuntil(b"http ")
            opened.append((reader, writer))
        assert [await ended(reader) for reader, _ in opened[:2]] == [b"", b""]
        assert not any(reader.at_eof() for reader, _ in opened[2:])
        for _, writer in opened:
            writer.close()


async def test_where_all_ask_one_more_is_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "CONNECTIONS_EACH", 1)
    async with serving() as port:
        _first, one = await asyncio.open_connection("127.0.0.1", port)
        one.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        await one.drain()
        reader, other = await asyncio.open_connection("127.0.0.1", port)
        other.write(REQUEST)
        told = await ended(reader)
        assert told.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 5" in told
        one.close()
        other.close()


async def test_one_port_speaks_tls_and_plain_http(certificates: ca.Certificates) -> None:
    context = make_context(WebTls(), certificates)
    trusting = ssl.create_default_context(cafile=certificates.ca)
    async with serving(tls=context) as port:
        for tls, scheme in ((trusting, b"https"), (None, b"http ")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(REQUEST)
            async with asyncio.timeout(30):
                assert (await reader.readuntil(scheme)).startswith(b"HTTP/1.1 200")
            writer.close()
        # One that gives up in the handshake leaves nothing behind: the server still ends.
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01")
        await writer.drain()
        writer.transport.abort()
