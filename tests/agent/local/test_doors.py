"""A port that somebody else has keeps nothing from working, and is opened when it is free."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.contain import Containment
from agent.local.changes import Changes
from agent.local.clients import Clients
from agent.local.doors import Doors, Rooms
from agent.local.lan import load_token
from agent.local.sockets import unix_socket
from agent.settings import LocalSettings
from tests.agent.parts import DEADLINE, until
from tests.extras import require
from wire.exchange import Answer, Request


class Server:
    """Stands in for the HTTP server: it holds the sockets until it is told to end."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    def stop(self) -> None:
        self._ended.set()

    async def serve(self, _sockets: list[socket.socket]) -> None:
        await self._ended.wait()


class Gap:
    """The wait between two tries: as long as the test likes."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def sleep(self, _seconds: float) -> None:
        await self.over.wait()
        self.over.clear()


async def handler(_request: Request) -> Answer:
    return Answer(0x45, b"1")


@contextlib.asynccontextmanager
async def doors(
    state: Path, gap: Gap, **settings: Any
) -> AsyncIterator[tuple[Containment, list[str]]]:
    contained, tokens = Containment(gap.sleep), list[str]()

    def make(token: str, _tls: object) -> Any:
        tokens.append(token)
        return Server()

    rooms = Rooms(make, handler, list, Changes(), Clients(state))
    made = Doors(LocalSettings(**settings), state, rooms, contained)
    async with asyncio.TaskGroup() as group:
        await made.open(group)
        yield contained, tokens
        await made.close()


async def test_ports_that_open_at_once_make_one_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, is_made = list[object](), asyncio.Event()

    async def work(function: Callable[..., str], *given: object) -> str:
        begun.append(function)
        await is_made.wait()
        return function(*given)

    monkeypatch.setattr(asyncio, "to_thread", work)
    serve: Any = None  # none is opened
    rooms = Rooms(serve, handler, list, Changes(), Clients(tmp_path))
    made = Doors(LocalSettings(), tmp_path, rooms, Containment(Gap().sleep))
    asked = [asyncio.create_task(made._token()) for _ in range(2)]
    for _ in range(10):  # as far as both come
        await asyncio.sleep(0)
    assert begun == [load_token]
    is_made.set()
    first, second = await asyncio.gather(*asked)
    assert first == second


@contextlib.contextmanager
def taken(kind: socket.SocketKind) -> Any:
    with socket.socket(socket.AF_INET, kind) as made:
        made.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            made.listen()
        yield made


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("http_port", socket.SOCK_STREAM, "local.http_port {}: Address already in use"),
        ("https_port", socket.SOCK_STREAM, "local.https_port {} on 127.0.0.1: Address already"),
        ("coap_port", socket.SOCK_DGRAM, "CoAP on 127.0.0.1:{}: Address already in use"),
        ("oscore_port", socket.SOCK_DGRAM, "CoAP on 127.0.0.1:{}: Address already in use"),
    ],
)
async def test_a_port_in_use_is_told_and_tried_again(
    tmp_path: Path, name: str, kind: socket.SocketKind, words: str
) -> None:
    if name == "oscore_port":
        require("cbor2")
    gap = Gap()
    with taken(kind) as other:
        port = other.getsockname()[1]
        async with doors(
            tmp_path,
            gap,
            **{name: port, "https_address": "127.0.0.1", "oscore_address": "127.0.0.1"},
        ) as (
            contained,
            _,
        ):
            told = contained.faults[f"local.{name}"]
            assert told.startswith(words.format(port))
            gap.over.set()  # still taken
            await until(lambda: not gap.over.is_set())
            assert contained.faults == {f"local.{name}": told}
            other.close()
            gap.over.set()
            await until(lambda: not contained.faults)
            with (
                socket.socket(socket.AF_INET, kind) as late,
                pytest.raises(OSError, match="in use"),
            ):
                late.bind(("127.0.0.1", port))


async def test_all_ports_are_free_after_the_end(tmp_path: Path) -> None:
    with taken(socket.SOCK_STREAM) as one, taken(socket.SOCK_STREAM) as two:
        ports = one.getsockname()[1], two.getsockname()[1]
    async with doors(
        tmp_path, Gap(), http_port=ports[0], https_port=ports[1], https_address="127.0.0.1"
    ) as (contained, tokens):
        assert contained.faults == {}
        for port in ports:
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
        await until(lambda: len(tokens) == 2)
    assert set(tokens) == {(tmp_path / "local-token").read_text().strip()}
    for port in ports:
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))


async def test_whoever_waits_for_a_port_does_not_delay_the_end(tmp_path: Path) -> None:
    with taken(socket.SOCK_STREAM) as other:
        async with asyncio.timeout(DEADLINE), doors(tmp_path, Gap(), http_port=other.getsockname()[1]):  # fmt: skip
            pass


async def test_a_state_folder_that_takes_no_token_leaves_http_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "local-token").mkdir()
    with taken(socket.SOCK_STREAM) as one, taken(socket.SOCK_STREAM) as two:
        http, https = one.getsockname()[1], two.getsockname()[1]
    async with doors(
        tmp_path, Gap(), http_port=http, https_port=https, https_address="127.0.0.1"
    ) as (contained, tokens):
        (await asyncio.open_connection("127.0.0.1", http))[1].close()
        await until(lambda: tokens == [""])
        assert set(contained.faults) == {"local.https_port"}
    assert "local.http_port: nobody has a token: " in caplog.text


async def test_without_the_extra_it_is_said_and_the_others_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "agent.local.oscore", None)
    with taken(socket.SOCK_DGRAM) as one, taken(socket.SOCK_DGRAM) as two:
        ports = one.getsockname()[1], two.getsockname()[1]
    async with doors(tmp_path, Gap(), coap_port=ports[0], oscore_port=ports[1]) as (contained, _):
        told = contained.faults
    assert set(told) == {"local.oscore_port"}
    assert (
        "pip install 'story-agent[oscore]', or set local.oscore_port = 0"
        in told["local.oscore_port"]
    )


async def test_a_server_that_cannot_be_made_is_made_again(tmp_path: Path) -> None:
    """Its code comes from the card when somebody connects for the first time."""
    gap, made, left = Gap(), list[Server](), [OSError(5, "Input/output error")]

    def make(_token: str, _tls: object) -> Any:
        if left:
            raise left.pop()
        made.append(Server())
        return made[-1]

    contained = Containment(gap.sleep)
    rooms = Rooms(make, handler, list, Changes(), Clients(tmp_path))
    with unix_socket(tmp_path / "agent.sock") as bound:
        doors = Doors(LocalSettings(), tmp_path, rooms, contained, bound)
        async with asyncio.TaskGroup() as group:
            await doors.open(group)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "agent.sock"))
                await until(lambda: contained.faults)
                assert contained.faults == {"socket": "[Errno 5] Input/output error"}
                gap.over.set()
                await until(lambda: made)
            assert contained.faults == {}
            await doors.close()
