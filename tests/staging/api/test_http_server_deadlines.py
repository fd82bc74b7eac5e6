"""How long the API's port waits for a peer, and how many connections one address may have; a test sets none of them.

The numbers stand here as docs/numbers.md has them. The clock is moved, the sockets are real.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from staging.api.http_server import ApiServer
from staging.identity import ca
from staging.listening import listen
from staging.web_tls import WebTls, make_context
from tests.moved_clock import Since, on_moved_clock
from tests.staging.api.test_http_server import REQUEST, UNREAD, answer

# A look each second ends what has stopped, and the clock may jump while loopback delivers.
LATE = 8.0
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
TLS_HELLO = b"\x16\x03\x01"


class Server(ApiServer):
    """Without uvicorn's ten looks a second at the time, each of which is a jump of the moved clock."""

    async def main_loop(self) -> None:
        while not self.should_exit:
            await asyncio.sleep(5)


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[int, Server]]:
    server = Server(answer, **options)
    listener = listen("127.0.0.1", 0, "--api-port")
    task = asyncio.create_task(server.serve([listener]))
    await server.accepting.wait()
    yield listener.getsockname()[1], server
    server.should_exit = True
    await task


async def seconds_until_ended(port: int, sent: bytes, after: bytes = b"") -> float:
    """Send, read up to ``after``, and return for how long the connection is kept then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    if after:
        await reader.readuntil(after)
    since = Since()
    with contextlib.suppress(ConnectionError):
        await reader.read()
    seconds = since.seconds
    writer.close()
    return seconds


@pytest.mark.parametrize(
    ("sent", "after", "seconds"),
    [
        (REQUEST[:8], b"", 10), (REQUEST[:-2] + b"X-A:", b"", 10), (REQUEST, b"http ", 9), (POST + b"abc", b"", 20),
    ],
    ids=["a line", "headers", "nothing more", "a body"],
)  # fmt: skip
def test_a_peer_that_stops_is_waited_for(sent: bytes, after: bytes, seconds: float) -> None:
    @on_moved_clock
    async def run() -> None:
        async with serving() as (port, _server):
            assert 0 <= await seconds_until_ended(port, sent, after) - seconds <= LATE

    run()


@on_moved_clock
async def test_a_body_may_go_on_for_as_long_as_a_kilobyte_comes_each_second() -> None:
    async with serving() as (port, _server):
        quick, slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for _reader, writer in (quick, slow):
            writer.write(POST)
        since = Since()
        for _second in range(60):
            quick[1].write(b"x" * 1500)
            with contextlib.suppress(ConnectionError):
                slow[1].write(b"x" * 500)
            await asyncio.sleep(1)
        with contextlib.suppress(ConnectionError):
            assert await slow[0].read() == b""
        assert since.seconds < 100
        quick[1].write(b"x" * 10_000)
        assert b"200" in await quick[0].readuntil(b"http ")
        for _reader, writer in (quick, slow):
            writer.close()


@on_moved_clock
async def test_an_answer_that_is_not_taken_is_held_for_a_minute() -> None:
    async with serving() as (port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(UNREAD)
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(58)
        assert len(server.server_state.connections) == 1
        await asyncio.sleep(12)
        assert not server.server_state.connections
        writer.close()


@on_moved_clock
async def test_a_long_answer_comes_whole_to_whoever_takes_it_slowly() -> None:
    """It is written at once, so that the server has nothing more to say of it, long before it has gone out."""
    async with serving() as (port, _server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(UNREAD)
        await reader.readuntil(b"\r\n\r\n")
        since = Since()
        for _second in range(64):
            await reader.readexactly(2**17)
            await asyncio.sleep(1)
        assert since.seconds >= 64
        writer.close()


def test_who_does_not_end_its_handshake_in_ten_seconds_is_hung_up_on(
    certificates: ca.Certificates,
) -> None:
    @on_moved_clock
    async def run() -> None:
        async with serving(tls=make_context(WebTls(), certificates)) as (port, _server):
            assert 0 <= await seconds_until_ended(port, TLS_HELLO) - 10 <= LATE

    run()


@on_moved_clock
async def test_the_257th_connection_of_an_address_takes_the_place_of_its_oldest() -> None:
    async with serving() as (port, _server):
        opened: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        since = Since()
        for number in range(257):
            assert not any(reader.at_eof() for reader, _writer in opened), number
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            await reader.readuntil(b"http ")
            opened.append((reader, writer))
            if number == 0:
                await asyncio.sleep(0.1)  # the others are younger
        with contextlib.suppress(ConnectionError):
            assert await opened[0][0].read() == b""
        assert since.seconds < 9, "none was dropped for its silence"
        assert not any(reader.at_eof() for reader, _writer in opened[1:])
        for _reader, writer in opened:
            writer.transport.abort()
