"""HTTP connections on a real socket: deadlines and limits, and TLS beside plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from staging.api import http_server
from staging.api.admission import ADMIT
from staging.api.http_server import ApiServer
from staging.identity import ca
from staging.listening import listen
from staging.web_tls import WebTls, make_context

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
HEAD_LIMIT = 65_536


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body, then say how it was asked; what is known, long, or goes on being worked at, the path says."""
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/known":
        scope["state"][ADMIT]()
    if scope["path"] == "/long":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(2**23)})
        return
    if scope["path"] == "/work":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"http ", "more_body": True})
        await receive()  # the end of the connection
        return
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
                writer.write(b"x" * (HEAD_LIMIT // 4))
                await writer.drain()
        assert b"200 OK" not in await ended(reader)
        writer.close()


async def test_a_long_body_before_it_does_not_end_the_next_request() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b"x" * (2 * HEAD_LIMIT)
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


WORK = REQUEST.replace(b"/ HTTP", b"/work HTTP")
KNOWN = REQUEST.replace(b"/ HTTP", b"/known HTTP")
UNREAD = REQUEST.replace(b"/ HTTP", b"/long HTTP")
WAITING = {
    "nothing asked yet": REQUEST[:3],
    "no end of a head": REQUEST[:-2] + b"X-Slow: ",
    "no end of a body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
    "an answer that is not read": UNREAD,
    "nothing more to ask": REQUEST,
}


class Crowded:
    """A server with few places, and strangers of an address each."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, host: str, sent: bytes) -> asyncio.StreamReader:
        """Connect from the loopback address ``host``, and send."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=(host, 0), limit=1024
        )
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            await writer.drain()
        return reader

    async def ask(self, host: str, sent: bytes = REQUEST) -> asyncio.StreamReader:
        """Connect and wait for the answer; return what reads on."""
        reader = await self.connect(host, sent)
        async with asyncio.timeout(30):
            assert (await reader.readuntil(b"http ")).startswith(b"HTTP/1.1 200")
        return reader

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def crowded(monkeypatch: pytest.MonkeyPatch, places: int = 8) -> AsyncIterator[Crowded]:
    monkeypatch.setattr(http_server, "HTTP_CONCURRENCY", places + 1)
    monkeypatch.setattr(http_server, "CONNECTIONS_EACH", 2)
    monkeypatch.setattr(http_server, "ROOM_AT_ONCE", 2)
    async with serving() as port:
        crowd = Crowded(port)
        try:
            yield crowd
        finally:
            crowd.close()


@pytest.mark.parametrize("sent", WAITING.values(), ids=WAITING)
async def test_addresses_without_number_that_make_us_wait_keep_nobody_out(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    async with crowded(monkeypatch) as crowd:
        member = await crowd.ask("127.1.0.1", KNOWN)
        for number in range(20):
            await crowd.connect(f"127.2.0.{number + 1}", sent)
            await crowd.ask(f"127.3.0.{number + 1}")
        assert not member.at_eof()  # whoever proved who it is keeps its connection
        await crowd.ask("127.1.0.1")


async def test_a_burst_takes_the_places_of_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them ends another one that waits, not the same one again."""
    async with crowded(monkeypatch) as crowd:
        waiting = [await crowd.ask(f"127.2.0.{number + 1}") for number in range(8)]
        await asyncio.gather(*(crowd.ask(f"127.3.0.{number + 1}") for number in range(8)))
        assert [await ended(reader) for reader in waiting[:6]] == [b""] * 6


async def test_where_only_known_ones_wait_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with crowded(monkeypatch, places=3) as crowd:
        members = [await crowd.ask(f"127.1.0.{number + 1}", KNOWN) for number in range(3)]
        await crowd.ask("127.3.0.1")
        assert await ended(members[0]) == b""
        assert not any(reader.at_eof() for reader in members[1:])


async def test_the_addresses_that_proved_nothing_for_longest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known: list[str] = []
    admit = ApiServer._admit

    def watched(self: ApiServer, network: str) -> None:
        admit(self, network)
        known[:] = self._known

    monkeypatch.setattr(ApiServer, "_admit", watched)
    monkeypatch.setattr(http_server, "KNOWN_LIMIT", 2)
    async with crowded(monkeypatch) as crowd:
        for number in (1, 2, 1, 3):  # the first comes again
            await crowd.ask(f"127.1.0.{number}", KNOWN)
    assert known == ["127.1.0.1", "127.1.0.3"]


async def test_where_all_wait_for_us_one_more_is_told_to_come_again_from_any_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with crowded(monkeypatch, places=3) as crowd:
        for number in range(3):
            await crowd.ask(f"127.2.0.{number + 1}", WORK)
        reader = await crowd.connect("127.3.0.1", REQUEST)
        assert (await ended(reader)).startswith(b"HTTP/1.1 503 ")


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
