"""CoAP over UDP on loopback: a real socket, hand-made messages, not reachable from outside."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.ports import free_port
from transport.datagram import DatagramServer
from transport.errors import TransportError
from wire.errors import WireError
from wire.exchange import Answer, Request

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BODY_LIMIT = 65_536

DEADLINE = 60.0
_MID = iter(range(1, 65536))


async def echo(request: Request) -> Answer:
    if request.path == ("crash",):
        raise ValueError("internals")
    if request.path == ("long",):
        return Answer(0x45, b"a" * 2000)
    head = f"{request.method} {'/'.join(request.path)} {len(request.payload)} "
    return Answer(0x45, head.encode() + request.payload)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    number = free_port()
    server = await DatagramServer.create(echo, "127.0.0.1", number)
    yield number
    await server.shutdown()


def option(delta: int, value: bytes) -> bytes:
    return bytes([min(delta, 13) << 4 | len(value)]) + (
        bytes([delta - 13]) if delta >= 13 else b""
    ) + value  # fmt: skip


class Client:
    """A local program with its own socket."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(("127.0.0.1", port))

    async def ask(self, code: int, options: bytes, payload: bytes = b"") -> tuple[int, bytes]:
        """Send a CON with the token "T"; return the answer's code and the bytes after the token."""
        mid = next(_MID)
        head = struct.pack("!BBH", 0x41, code, mid) + b"T"
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DEADLINE):
            body = b"\xff" + payload if payload else b""
            await loop.sock_sendall(self._socket, head + options + body)
            answer = await loop.sock_recv(self._socket, 65536)
        first, code, got = struct.unpack_from("!BBH", answer)
        assert (first, got, answer[4:5]) == (0x61, mid, b"T")
        return code, answer[5:]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    made = Client(port)
    yield made
    made.close()


async def test_a_request_reaches_the_handler_and_its_answer_comes_back(client: Client) -> None:
    path = option(11, b"volume")
    assert await client.ask(3, path, b"7") == (0x45, b"\xffPUT volume 1 7")
    assert (await client.ask(1, path))[1].startswith(b"\xffGET volume 0")
    two = option(11, b"v1") + option(0, b"x")
    assert (await client.ask(1, two))[1].startswith(b"\xffGET v1/x 0")


async def test_a_handler_that_fails_is_a_5_00_without_internals(client: Client) -> None:
    code, rest = await client.ask(1, option(11, b"crash"))
    assert code == 0xA0
    assert b"internals" not in rest


@pytest.mark.parametrize(
    "noise", [b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 200, b"\x40\x01"]
)
async def test_noise_does_not_stop_the_server(port: int, client: Client, noise: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.sendto(noise, ("127.0.0.1", port))
    assert (await client.ask(1, option(11, b"volume")))[0] == 0x45


async def test_a_long_body_goes_up_in_blocks(client: Client) -> None:
    path, more, last = option(11, b"x"), b"\x0e", b"\x16"
    code, _ = await client.ask(3, path + option(16, more), b"a" * 1024)
    assert code == 0x5F  # 2.31 Continue
    code, rest = await client.ask(3, path + option(16, last), b"b" * 76)
    assert code == 0x45
    assert b"PUT x 1100 aaa" in rest


async def test_a_long_answer_comes_down_in_blocks(client: Client) -> None:
    _, first = await client.ask(1, option(11, b"long"))
    _, second = await client.ask(1, option(11, b"long") + option(12, b"\x16"))
    bodies = [block.partition(b"\xff")[2] for block in (first, second)]
    assert [len(body) for body in bodies] == [1024, 976]


async def test_a_body_without_end_is_refused(client: Client) -> None:
    path = option(11, b"x")
    for number in range(BODY_LIMIT // 1024 + 1):
        block = (number << 4 | 0x0E).to_bytes(2, "big").lstrip(b"\0")
        code, _ = await client.ask(3, path + option(16, block), b"a" * 1024)
        if code != 0x5F:
            break
    assert code == 0x8D  # 4.13 Request Entity Too Large
    assert number == BODY_LIMIT // 1024


async def test_a_port_that_is_taken_is_a_transport_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        number = taken.getsockname()[1]
        with pytest.raises(TransportError, match=f"CoAP on 127.0.0.1:{number}: Address already in"):
            await DatagramServer.create(echo, "127.0.0.1", number)


async def test_after_shutdown_the_port_is_free_again() -> None:
    number = free_port()
    for _ in range(2):
        server = await DatagramServer.create(echo, "127.0.0.1", number)
        await server.shutdown()


def links(query: tuple[str, ...]) -> bytes:
    if query:
        raise WireError("query: expected none")
    return b"</volume>"


async def test_what_is_here_is_told_in_the_link_format() -> None:
    number = free_port()
    server = await DatagramServer.create(echo, "127.0.0.1", number, links=links)
    client = Client(number)
    core = option(11, b".well-known") + option(0, b"core")
    code, rest = await client.ask(1, core)
    assert (code, rest) == (0x45, b"\xc1\x28\xff</volume>")  # Content-Format 40
    assert await client.ask(1, core + option(4, b"rt=x")) == (0x80, b"\xffquery: expected none")
    assert await client.ask(3, core) == (0x85, b"")  # 4.05 Method Not Allowed
    assert (await client.ask(1, option(11, b"volume")))[1].startswith(b"\xffGET volume")
    client.close()
    await server.shutdown()


async def test_more_requests_than_are_served_at_once_are_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("transport.datagram.MAX_SERVING", 1)
    begun, end = asyncio.Event(), asyncio.Event()

    async def slow(_request: Request) -> Answer:
        begun.set()
        await end.wait()
        return Answer(0x45, b"done")

    number = free_port()
    server = await DatagramServer.create(slow, "127.0.0.1", number)
    first, second = Client(number), Client(number)
    asking = asyncio.create_task(first.ask(1, option(11, b"a")))
    await begun.wait()
    assert await second.ask(1, option(11, b"b")) == (0xA3, b"\xfftoo many requests at once")
    end.set()
    assert await asking == (0x45, b"\xffdone")
    assert await second.ask(1, option(11, b"b")) == (0x45, b"\xffdone")
    for client in (first, second):
        client.close()
    await server.shutdown()
