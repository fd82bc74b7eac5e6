"""The sockets of the local API, and its server, which is not loaded before somebody connects."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from agent.local.server import LocalServer
from agent.local.sockets import LocalAccessError, ServerOnDemand, loopback_socket, unix_socket
from agent.local.web import Request, Response, Route, Site

DEADLINE = 20.0


def test_the_socket_is_for_this_user_and_its_group(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    before = os.umask(0)
    try:
        with unix_socket(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
    finally:
        os.umask(before)
    assert not path.exists()


def test_a_dead_agents_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with unix_socket(path) as bound:
        bound.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_socket_that_cannot_be_removed_is_no_failure_of_who_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "agent.sock"

    def refuse(_path: Path, **_words: bool) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with unix_socket(path) as bound:
        monkeypatch.setattr(Path, "unlink", refuse)  # the card has become read-only meanwhile
    assert bound.fileno() == -1
    assert path.exists()


@pytest.mark.parametrize("name", ["x" * 120, "none/agent.sock"])
def test_a_socket_that_cannot_be_is_refused_by_its_path(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(LocalAccessError, match=f"socket {path}: "), unix_socket(path):
        pytest.fail("it was bound")


def test_a_folder_in_the_sockets_place_is_not_removed(tmp_path: Path) -> None:
    with pytest.raises(LocalAccessError, match="Is a directory"), unix_socket(tmp_path):
        pytest.fail("it was bound")
    assert tmp_path.is_dir()


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalAccessError, match=f"local.http_port {port}: Address already in"):
            loopback_socket(port)


class Rig:
    """A server on demand on a Unix socket."""

    def __init__(self, path: Path) -> None:
        self.made = 0
        self.path = path
        self.server = ServerOnDemand(self._make)

    def _make(self) -> LocalServer:
        self.made += 1

        async def hello(_request: Request) -> Response:
            return Response("hello")

        return LocalServer(Site([Route("/", hello, ["GET"])]))

    async def ask(self) -> str:
        transport = httpx.AsyncHTTPTransport(uds=str(self.path))
        async with httpx.AsyncClient(transport=transport, timeout=DEADLINE) as client:
            return (await client.get("http://agent/")).text


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Rig]:
    rig = Rig(path)
    with unix_socket(path) as bound:
        task = asyncio.create_task(rig.server.serve([bound]))
        await asyncio.sleep(0)
        try:
            yield rig
        finally:
            rig.server.stop()
            async with asyncio.timeout(DEADLINE):
                await task


async def test_the_server_is_made_for_the_first_client_and_serves_the_next(tmp_path: Path) -> None:
    async with serving(tmp_path / "agent.sock") as rig:
        assert (rig.made, rig.server.started) == (0, False)
        assert await asyncio.gather(*(rig.ask() for _ in range(5))) == ["hello"] * 5
        assert await rig.ask() == "hello"
        assert (rig.made, rig.server.started) == (1, True)


async def test_a_server_that_nobody_has_used_stops(tmp_path: Path) -> None:
    async with serving(tmp_path / "agent.sock") as rig:
        pass
    assert rig.made == 0


async def test_a_client_that_went_away_at_once_is_no_trouble(tmp_path: Path) -> None:
    async with serving(tmp_path / "agent.sock") as rig:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(rig.path))
        assert await rig.ask() == "hello"


async def test_an_agent_that_ends_while_the_server_is_loaded_does_not_wait(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    async with serving(path) as rig:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            while not rig.made:
                await asyncio.sleep(0)
            rig.server.stop()


async def test_a_port_that_two_settings_name_is_named() -> None:
    with loopback_socket(0) as first:
        port = first.getsockname()[1]
        with loopback_socket(port) as second:
            first.listen()
            with pytest.raises(LocalAccessError, match=rf"127\.0\.0\.1', {port}\): Address"):
                await ServerOnDemand(lambda: pytest.fail("nobody asked")).serve([second])
