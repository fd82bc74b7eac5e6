"""Where mpv runs: as a child, and what becomes of the agent's end if that fails."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from machine.errors import UnavailableError
from machine.mpv_host import Child, start_host
from tests.machine.parts import DEADLINE


async def test_a_child_is_killed_and_waited_for(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        host = await start_host(["mpv"], theirs, tmp_path / "none")
    assert isinstance(host, Child)
    assert host.pid
    os.kill(host.pid, signal.SIGSTOP)
    host.kill()
    async with asyncio.timeout(DEADLINE):
        await host.wait()
    host.kill()  # a second time is no error
    assert not Path(f"/proc/{host.pid}").exists()  # noqa: ASYNC240


@pytest.mark.parametrize(
    ("program", "told"),
    [([], "play: mpv is missing"), (["/none"], "play: mpv cannot be started: No such file")],
)
async def test_what_cannot_be_started_is_told(
    program: list[str], told: str, tmp_path: Path
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(UnavailableError, match=told):
        await start_host(program, theirs, tmp_path / "none")
