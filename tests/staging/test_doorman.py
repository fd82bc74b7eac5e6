"""Connections at a real socket: what waits, what goes in, what is dropped, and what is logged of it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator

import pytest

from staging import doorman
from staging.crowd import DoorLimits
from staging.doorman import Doorman, Settle
from staging.listening import listen
from tests.waiting import until


class Door:
    """A door that sends back one byte, and holds each connection until it is told."""

    def __init__(self, limits: DoorLimits, *, half_closes: bool = True) -> None:
        self.listener = listen("127.0.0.1", 0, "--x")
        self.address = self.listener.getsockname()
        self.doorman = Doorman("port", self._serve, limits, half_closes=half_closes)
        self.go_on = asyncio.Event()
        self.settle = asyncio.Event()
        self.served = 0

    async def _serve(self, sock: socket.socket, settle: Settle) -> None:
        loop = asyncio.get_running_loop()
        self.served += 1
        with sock:
            if not (said := await loop.sock_recv(sock, 1)):
                return
            await loop.sock_sendall(sock, said)
            await self.settle.wait()
            settle()
            await self.go_on.wait()

    def connect(self, data: bytes = b"") -> socket.socket:
        sock = socket.create_connection(self.address, 30)
        if data:
            sock.sendall(data)
        sock.setblocking(False)
        return sock


@contextlib.asynccontextmanager
async def door(limits: DoorLimits, *, half_closes: bool = True) -> AsyncIterator[Door]:
    made = Door(limits, half_closes=half_closes)
    made.doorman.open(made.listener)
    try:
        yield made
    finally:
        made.go_on.set()
        made.settle.set()
        made.doorman.close()
        made.listener.close()
        await until(lambda: len(made.doorman) == 0)


async def read(sock: socket.socket) -> bytes:
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            return await asyncio.get_running_loop().sock_recv(sock, 10)
    return b""


async def test_one_that_speaks_is_served_also_behind_silent_ones() -> None:
    async with door(DoorLimits(open=20, silent=10, silent_each=4)) as here:
        silent = [here.connect() for _ in range(30)]
        speaks = here.connect(b"x")
        assert await read(speaks) == b"x"
        assert len(here.doorman) == 4
        assert [await read(sock) for sock in silent[:27]] == [b""] * 27  # the oldest had to go
        for sock in (*silent, speaks):
            sock.close()
        await until(lambda: len(here.doorman) == 1)


async def test_the_next_one_begins_when_a_place_is_free() -> None:
    async with door(DoorLimits(open=20, begun=2, begun_each=2)) as here:
        socks = [here.connect(b"x") for _ in range(3)]
        await until(lambda: len(here.doorman) == 3)
        await until(lambda: here.served == 2)
        assert here.doorman.begun == 2
        here.settle.set()
        assert [await read(sock) for sock in socks] == [b"x"] * 3
        for sock in socks:
            sock.close()


async def test_who_says_nothing_is_dropped_and_that_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doorman, "SWEEP_SECONDS", 0.01)
    async with door(DoorLimits(open=20, patience=0.0)) as here:
        socks = [here.connect() for _ in range(5)]
        assert [await read(sock) for sock in socks] == [b""] * 5
        await until(lambda: bool(caplog.records))
        for sock in socks:
            sock.close()
    assert all(
        "connections were dropped that said nothing" in r.getMessage() for r in caplog.records
    )
    assert len(caplog.records) <= 5


async def test_without_file_descriptors_it_pauses_says_so_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doorman, "PAUSE_SECONDS", 0.05)
    async with door(DoorLimits(open=20)) as here:
        accept, failures = here.listener.accept, iter(range(3))

        class Short:
            """A listening socket of a process that has no file descriptors left, three times."""

            fileno = here.listener.fileno

            def accept(self) -> object:
                if next(failures, None) is not None:
                    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
                return accept()

        here.doorman._listener = Short()  # type: ignore[assignment]  # what `accept` may do
        sock = here.connect(b"x")
        assert await read(sock) == b"x"
        sock.close()
    told = [r.getMessage() for r in caplog.records]
    assert len(told) == 3
    assert told[0].startswith(
        "port: no connection is accepted for 0.05 s: Too many open files (0 are open"
    )


async def test_what_has_not_begun_ends_with_the_door() -> None:
    async with door(DoorLimits(open=20, begun=1)) as here:
        socks = [here.connect(), here.connect(b"x"), here.connect(b"y")]
        await until(lambda: len(here.doorman) == 3 and here.served == 1)
        here.doorman.close()
        assert [await read(sock) for sock in (socks[0], socks[2])] == [b"", b""]
        for sock in socks:
            sock.close()


@pytest.mark.parametrize(("half_closes", "served"), [(True, 3), (False, 2)])
async def test_one_that_has_gone_before_its_turn_costs_no_handshake(
    *, half_closes: bool, served: int
) -> None:
    """Of thousands that hang up at once each had its TLS made and dropped, in twice the memory of all that wait."""
    limits = DoorLimits(open=20, begun=1)
    async with door(limits, half_closes=half_closes) as here:
        with here.connect(b"a") as first, here.connect(b"b") as gone, here.connect(b"c") as last:
            assert await read(first) == b"a"
            await until(lambda: len(here.doorman) == 3)
            gone.shutdown(socket.SHUT_WR)
            here.go_on.set()
            here.settle.set()
            assert await read(last) == b"c"
            assert await read(gone) == (b"b" if half_closes else b"")
            assert here.served == served
