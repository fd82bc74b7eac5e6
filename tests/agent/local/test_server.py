"""The local API's server: what h11 and each wait's end make of strange clients, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import agent.local.server
from agent.local.server import LocalServer
from agent.local.sockets import unix_socket
from agent.local.web import ClientGoneError, JSONResponse, Request, Response, Route, Site
from tests.agent.parts import DEADLINE, until

pytestmark = pytest.mark.usefixtures("no_blocking")
GET = b"GET /hello HTTP/1.1\r\nHost: agent\r\n\r\n"
BIG = 8 * 2**20


@dataclass
class Rig:
    """A server on a Unix socket, and what its endpoints saw."""

    path: Path
    server: LocalServer = field(init=False)
    gone: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        any_method = ["GET", "PUT", "POST"]
        self.server = LocalServer(
            Site([
                Route("/hello", self.hello, ["GET"]),
                Route("/body", self.body, any_method),
                Route("/refuse", self.refuse, any_method),
                Route("/wait", self.wait, ["GET"]),
                Route("/big", self.big, ["GET"]),
                Route("/fault", self.fault, ["GET"]),
            ])
        )  # fmt: skip

    async def hello(self, request: Request) -> Response:
        return Response(f"hello {request.query_params.get('n', '')}", media_type="text/plain")

    async def body(self, request: Request) -> Response:
        try:
            parts = [part async for part in request.stream()]
        except ClientGoneError:
            self.gone += 1
            self.reached.set()
            raise
        return JSONResponse({"bytes": sum(map(len, parts))})

    async def refuse(self, _request: Request) -> Response:
        return Response("too large", 413)

    async def wait(self, _request: Request) -> Response:
        self.reached.set()
        await self.go.wait()
        return Response("at last")

    async def big(self, _request: Request) -> Response:
        return Response(bytes(BIG))

    async def fault(self, _request: Request) -> Response:
        raise KeyError("/home/secret-internals")

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self.path))

    async def ask(self, *parts: bytes) -> bytes:
        """Send the parts, and return all that comes until the end."""
        reader, writer = await self.open()
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0)
        answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path / "agent.sock")
    with unix_socket(made.path) as bound:
        bound.setblocking(False)
        task = asyncio.create_task(made.server.serve([bound]))
        try:
            async with asyncio.timeout(DEADLINE):
                yield made
        finally:
            made.go.set()
            made.server.stop()
            async with asyncio.timeout(DEADLINE):
                await task


def closing(path: str, more: str = "", body: bytes = b"", method: str = "GET") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n{more}\r\n"
    return head.encode() + body


async def test_requests_that_come_at_once_are_answered_in_their_order(rig: Rig) -> None:
    asked = [GET.replace(b"/hello", f"/hello?n={n}".encode()) for n in range(20)]
    answer = await rig.ask(b"".join(asked), closing("/hello?n=last"))
    found = [each.partition(b"\r\n")[0] for each in answer.split(b"hello ")[1:]]
    assert [each[:2].rstrip(b"H") for each in found[:3]] == [b"0", b"1", b"2"]
    assert answer.endswith(b"hello last")
    assert answer.count(b"HTTP/1.1 200 OK") == 21


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ("Content-Length: 70000\r\n", b"x" * 70_000),
        ("Transfer-Encoding: chunked\r\n", b"11170\r\n" + b"x" * 70_000 + b"\r\n0\r\n\r\n"),
    ],
)
async def test_a_body_comes_whole_in_any_pieces(rig: Rig, more: str, body: bytes) -> None:
    asked = closing("/body", more, body, "PUT")
    cuts = [0, 1, 40, 41, 5000, 60_000, len(asked)]
    pieces = [asked[a:b] for a, b in itertools.pairwise(cuts)]
    assert (await rig.ask(*pieces)).endswith(b'{"bytes":70000}')


async def test_a_client_that_asks_whether_to_send_is_told_once(rig: Rig) -> None:
    reader, writer = await rig.open()
    writer.write(closing("/body", "Expect: 100-continue\r\nContent-Length: 2\r\n", method="PUT"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ok")
    assert (await reader.read()).endswith(b'{"bytes":2}')
    writer.close()
    answer = await rig.ask(closing("/refuse", "Expect: 100-continue\r\nContent-Length: 2\r\n", method="PUT"), b"ok")  # fmt: skip
    assert answer.startswith(b"HTTP/1.1 413 Content Too Large")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),  # TLS to a port without
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),  # no Host
        (b"GET /" + b"a" * 20_000, b"431"),
        (b"GET /hello HTTP/1.1\r\nHost: agent\r\nX: " + b"a" * 20_000, b"431"),
        (
            b"PUT /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            b"400",
        ),
        (b"PUT /body HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"\r\n\r\n\x00\x01\r\n\r\n", b"400"),
    ],
)
async def test_what_is_no_http_is_answered_and_ends(rig: Rig, raw: bytes, status: bytes) -> None:
    answer = await rig.ask(raw)
    assert answer.split()[1] == status
    assert b"not HTTP as expected" in answer
    assert b"hello" in await rig.ask(closing("/hello"))


async def test_what_is_no_http_is_answered_though_more_of_it_comes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that is closed with unread bytes is reset, and the answer before that is lost."""
    monkeypatch.setattr("asyncio.selector_events._SelectorSocketTransport.max_size", 1000)
    answer = await rig.ask(b"GET /" + b"a" * 40_000)
    assert answer.startswith(b"HTTP/1.1 431 ")
    await until(lambda: not rig.server.connections)  # which its client has closed


async def test_who_goes_on_with_what_is_no_http_is_cut_off(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent.local.server, "LINGER_SECONDS", 0.01)
    reader, writer = await rig.open()
    writer.write(b"no HTTP\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    await until(lambda: not rig.server.connections)
    writer.close()


async def test_a_bad_chunk_ends_a_request_that_is_being_read(rig: Rig) -> None:
    reader, writer = await rig.open()
    writer.write(closing("/body", "Transfer-Encoding: chunked\r\n", b"zz\r\n", "PUT"))
    assert b"HTTP/1.1 200" not in await reader.read()
    await rig.reached.wait()
    assert rig.gone == 1
    writer.close()


async def test_a_client_that_goes_away_in_its_body_is_known(rig: Rig) -> None:
    _, writer = await rig.open()
    writer.write(closing("/body", "Content-Length: 9\r\n", b"x", "PUT"))
    await writer.drain()
    writer.transport.abort()
    await rig.reached.wait()
    assert rig.gone == 1


async def test_http_1_0_and_head_end_as_they_should(rig: Rig) -> None:
    assert (await rig.ask(b"GET /hello HTTP/1.0\r\n\r\n")).endswith(b"hello ")
    head = await rig.ask(closing("/hello", method="HEAD"))
    assert b"content-length: 6" in head.lower()
    assert head.endswith(b"\r\n\r\n")


async def test_a_fault_of_ours_is_a_500_without_its_inside(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await rig.ask(closing("/fault"))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer
    assert "local API: GET /fault failed" in caplog.text


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /hello HTTP/1.1\r\nHo",
        GET + b"GET /hello HTTP/1.1\r\nHo",  # half a second request
        GET,
        b"PUT /refuse HTTP/1.1\r\nHost: agent\r\nContent-Length: 90000\r\n\r\nx",  # a body that nobody wants
    ],
)
async def test_each_wait_ends(rig: Rig, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.local.server, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(agent.local.server, "KEEP_SECONDS", 0.02)
    with contextlib.suppress(ConnectionResetError):
        await rig.ask(sent)
    assert not rig.server.connections


async def test_who_does_not_read_is_cut_off_and_holds_no_place(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent.local.server, "IDLE_SECONDS", 0.02)
    _, writer = await rig.open()
    writer.write(GET.replace(b"/hello", b"/big") * 3)
    await until(lambda: rig.server.connections)
    (made,) = rig.server.connections
    await until(lambda: made not in rig.server.connections)
    writer.close()


async def test_a_stop_lets_an_answer_be_finished_and_closes_the_idle(rig: Rig) -> None:
    idle, idle_writer = await rig.open()
    idle_writer.write(GET)
    await idle.readuntil(b"hello ")
    reader, writer = await rig.open()
    writer.write(GET.replace(b"/hello", b"/wait"))
    await rig.reached.wait()
    rig.server.stop()
    assert await idle.read() == b""
    rig.go.set()
    answer = await reader.read()
    assert b"connection: close" in answer.lower()
    assert answer.endswith(b"at last")
    for each in (writer, idle_writer):
        each.close()


async def test_a_stop_tells_who_waits_too_long(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.local.server, "SHUTDOWN_SECONDS", 0.02)
    reader, writer = await rig.open()
    writer.write(GET.replace(b"/hello", b"/wait"))
    await rig.reached.wait()
    rig.server.stop()
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b"the agent ends\n")
    writer.close()
