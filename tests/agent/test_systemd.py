"""The service manager: a real socket in its place, or none."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.systemd import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def systemd(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """Listen as systemd does, by a path or by an abstract name."""
    path = f"{tmp_path}/notify"
    monkeypatch.setenv("NOTIFY_SOCKET", path if request.param == "path" else f"@{path}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path if request.param == "path" else f"\0{path}")
        server.settimeout(60)
        yield server


async def test_systemd_is_told(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    manager = ServiceManager()
    manager.ready()
    feeding = asyncio.create_task(manager.feed_watchdog())
    heard = [(await asyncio.to_thread(systemd.recv, 99)) for _ in range(3)]
    feeding.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await feeding
    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


async def test_a_systemd_that_does_not_listen_holds_nothing_up(systemd: socket.socket) -> None:
    manager = ServiceManager()
    for _ in range(5000):  # more than the queue of a socket takes
        manager.notify("WATCHDOG=1")
    systemd.close()
    manager.stopping()


@pytest.mark.parametrize("limit", ["", "0", "soon"])
async def test_a_systemd_without_a_watchdog_hears_of_the_begin_and_the_end_alone(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", limit)
    manager = ServiceManager()
    manager.ready()
    await manager.feed_watchdog()
    manager.stopping()
    assert [systemd.recv(99) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@nowhere", "x" * 200, "@a\0b", "a\0b"])
def test_without_systemd_nothing_is_told_and_nothing_raised(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    environment = {**os.environ, "NOTIFY_SOCKET": address}  # the system's own takes no zero bytes
    monkeypatch.setattr(os, "environ", environment)
    manager = ServiceManager()
    manager.ready()
    manager.stopping()
    assert manager._socket is None
