"""The agent's event loop: a name look-up that hangs does not keep it from ending."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from agent.loop import AgentLoop


def test_a_name_server_that_is_dead_does_not_keep_the_loop_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release, asked = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        asked.set()
        release.wait()
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    async def connect() -> None:
        async with asyncio.timeout(0.1):
            await asyncio.open_connection("cloud.example", 9)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with asyncio.Runner(loop_factory=AgentLoop) as runner, pytest.raises(TimeoutError):
        runner.run(connect())
    assert asked.is_set()
    release.set()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70 + ".example"])
def test_a_name_that_is_none_is_an_os_error(host: str) -> None:
    async def connect() -> None:
        await asyncio.open_connection(host, 9)

    with asyncio.Runner(loop_factory=AgentLoop) as runner, pytest.raises(OSError):
        runner.run(connect())


def test_a_name_is_found() -> None:
    async def look_up() -> list[object]:
        return list(await asyncio.get_running_loop().getaddrinfo("localhost", 9))

    with asyncio.Runner(loop_factory=AgentLoop) as runner:
        addresses = {info[4][0] for info in runner.run(look_up())}  # type: ignore[index]
    assert addresses & {"127.0.0.1", "::1"}
