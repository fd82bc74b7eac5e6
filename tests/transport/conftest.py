"""Two framed endpoints on loopback, over TCP and over TLS, and a raw peer that can misbehave."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.authority import Authority
from transport.connection import Connection
from transport.framed import FramedEndpoint
from wire.exchange import Answer, Handler, Request
from wire.framing import FrameDecoder, encode_frame

CON, NON, ACK, RST = range(4)
# Only turns a hang into a failure.
DEADLINE = 60.0


async def echo(request: Request) -> Answer:
    """Answer 2.05 with the request's payload."""
    return Answer(0x45, request.payload)


def coap(
    mtype: int,
    code: int,
    mid: int,
    token: bytes = b"",
    options: bytes = b"",
    payload: bytes = b"",
) -> bytes:
    """Encode a CoAP message by hand; ``options`` is encoded already."""
    head = struct.pack("!BBH", 0x40 | mtype << 4 | len(token), code, mid)
    return head + token + options + (b"\xff" + payload if payload else b"")


def option(delta: int, value: bytes) -> bytes:
    """Encode one option: ``delta`` from the one before; it and the value's length are under 269."""

    def nibble(number: int) -> tuple[int, bytes]:
        return (number, b"") if number < 13 else (13, bytes([number - 13]))

    (high, more), (low, longer) = nibble(delta), nibble(len(value))
    return bytes([high << 4 | low]) + more + longer + value


@dataclass
class Pair:
    """Both ends of one connection, each served by its endpoint."""

    client: FramedEndpoint
    server: FramedEndpoint
    to_server: Connection
    to_client: Connection
    client_end: asyncio.Task[str]
    server_end: asyncio.Task[str]


@dataclass
class RawPeer:
    """A peer of the endpoint that writes any bytes and reads frames."""

    endpoint: FramedEndpoint
    connection: Connection
    end: asyncio.Task[str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _decoder: FrameDecoder = field(default_factory=lambda: FrameDecoder(1 << 20))
    _frames: list[bytes] = field(default_factory=list)

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self.writer.write(encode_frame(message))

    async def receive(self) -> bytes:
        """Return the next message of the endpoint."""
        async with asyncio.timeout(DEADLINE):
            while not self._frames:
                data = await self.reader.read(65536)
                assert data, f"the endpoint closed the connection: {await self.end}"
                self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    async def ended(self) -> str:
        """Return why the endpoint's side ended."""
        async with asyncio.timeout(DEADLINE):
            return await self.end


class Bench:
    """Makes connections; all of them are closed when the test ends.

    Test files cannot import this file, so the helpers that they need are methods here.
    """

    CON, NON, ACK, RST = CON, NON, ACK, RST
    DEADLINE = DEADLINE
    coap = staticmethod(coap)
    option = staticmethod(option)
    encoded_path = option(11, b"x")

    def __init__(self, authority: Authority | None) -> None:
        self._stack = AsyncExitStack()
        self._authority = authority

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        """Let the loop run until ``condition`` holds."""
        async with asyncio.timeout(DEADLINE):
            while not condition():  # the condition is inside aiocoap or asyncio
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        await self._stack.aclose()

    async def endpoint(self) -> FramedEndpoint:
        endpoint = await FramedEndpoint.create()
        self._stack.push_async_callback(endpoint.shutdown)
        return endpoint

    async def streams(
        self,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Connection]:
        """Open a connection: the client's streams and the server's Connection."""
        # A queue, because a future would keep the connection alive, and one test checks its release.
        accepted: asyncio.Queue[Connection] = asyncio.Queue()

        async def on_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.put_nowait(Connection(reader, writer))

        server_tls, client_tls = self._contexts()
        server = await asyncio.start_server(on_client, "127.0.0.1", 0, ssl=server_tls)
        self._stack.callback(server.close)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_tls)
        async with asyncio.timeout(DEADLINE):
            connection = await accepted.get()
        server.close()
        return reader, writer, connection

    def serve(
        self, endpoint: FramedEndpoint, connection: Connection, handler: Handler, **limits: Any
    ) -> asyncio.Task[str]:
        """Serve a connection until it ends or the test does."""
        serving = asyncio.create_task(endpoint.serve(connection, handler, **limits))
        self._stack.push_async_callback(_settle, serving)
        self._stack.push_async_callback(endpoint.shutdown)
        return serving

    async def pair(self, on_client: Handler = echo, on_server: Handler = echo) -> Pair:
        client, server = await self.endpoint(), await self.endpoint()
        reader, writer, to_client = await self.streams()
        to_server = Connection(reader, writer)
        pair = Pair(
            client,
            server,
            to_server,
            to_client,
            self.serve(client, to_server, on_client),
            self.serve(server, to_client, on_server),
        )
        await asyncio.sleep(0)
        return pair

    async def raw(self, handler: Handler = echo, **serve: Any) -> RawPeer:
        endpoint = await self.endpoint()
        reader, writer, connection = await self.streams()
        end = self.serve(endpoint, connection, handler, **serve)
        self._stack.callback(_cut, writer)
        await asyncio.sleep(0)
        return RawPeer(endpoint, connection, end, reader, writer)

    def _contexts(self) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
        if self._authority is None:
            return None, None
        return self._authority.server_context(), self._authority.client_context()


def _cut(writer: asyncio.StreamWriter) -> None:
    # Keep the writer, or asyncio warns that an open one was dropped.
    writer.transport.abort()


async def _settle(*tasks: asyncio.Task[str]) -> None:
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@asynccontextmanager
async def _bench(authority: Authority | None) -> AsyncIterator[Bench]:
    bench = Bench(authority)
    try:
        yield bench
    finally:
        await bench.close()


@pytest.fixture(params=["tcp", "tls"])
async def bench(request: pytest.FixtureRequest, authority: Authority) -> AsyncIterator[Bench]:
    """Connections over TCP, then over TLS."""
    async with _bench(authority if request.param == "tls" else None) as made:
        yield made


@pytest.fixture
async def tcp_bench() -> AsyncIterator[Bench]:
    """Connections over TCP, where TLS makes no difference."""
    async with _bench(None) as made:
        yield made
