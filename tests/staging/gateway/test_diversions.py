"""Who is led to the advisor: a device alone at its address, for as long as that is renewed, and nobody else."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from staging.errors import StagingError
from staging.gateway.diversions import Diversions
from staging.gateway.session import Sessions
from transport.connection import Connection

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LEASE_SECONDS = 30.0

ONE, TWO = "0000000000000a", "0000000000000b"


class Wire(Connection):
    """A connection from an address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.ended = ""

    def get_extra_info(self, name: str) -> Any:
        return (self.address, 1) if name == "peername" else None

    def close(self, reason: str) -> None:
        self.ended = reason


class Broker:
    """What stands for a connection behind a broker."""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def sessions(**addresses: str) -> Sessions:
    made = Sessions()
    for uuid, address in zip((ONE, TWO), addresses.values(), strict=False):
        connection = Wire(address) if address else Broker()
        made.add(SimpleNamespace(identity=SimpleNamespace(uuid=uuid), connection=connection))  # type: ignore[arg-type]
    return made


def test_a_device_is_led_and_cut_off_until_the_lease_ends() -> None:
    clock, known = Clock(), sessions(a="10.0.0.1", b="10.0.0.2")
    made = Diversions(known, clock)
    assert made.lead(ONE, 7000) == {"address": "10.0.0.1"}
    assert known.by_uuid[ONE].connection.ended == "led to the advisor"  # type: ignore[attr-defined]
    assert (made.port_for("10.0.0.1"), made.port_for("10.0.0.2")) == (7000, 0)
    clock.now = LEASE_SECONDS - 1
    made.lead(ONE, 7000)
    clock.now += LEASE_SECONDS
    assert made.port_for("10.0.0.1") == 7000
    clock.now += 1
    assert made.port_for("10.0.0.1") == 0


def test_the_advisor_leads_it_back() -> None:
    made = Diversions(sessions(a="10.0.0.1"), Clock())
    made.lead(ONE, 7000)
    made.lead(ONE, 0)
    made.lead(ONE, 0)
    assert made.port_for("10.0.0.1") == 0


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (sessions(), "is offline: switch it on first"),
        (sessions(a=""), "is behind a broker"),
        (sessions(a="10.0.0.1", b="10.0.0.1"), f"not alone at its address: {TWO}"),
    ],
)
def test_who_cannot_be_led_is_told_why(known: Sessions, reason: str) -> None:
    with pytest.raises(StagingError, match=reason):
        Diversions(known, Clock()).lead(ONE, 7000)


async def test_a_connection_is_carried_both_ways_until_one_side_ends_it() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"<" + await reader.readexactly(5))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    device, near = socket.socketpair()
    for each in (device, near):
        each.setblocking(False)
    async with asyncio.timeout(20):
        port = server.sockets[0].getsockname()[1]
        carried = asyncio.create_task(Diversions(Sessions()).carry(near, "10.0.0.1", port))
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(device, b"hello")
        assert await loop.sock_recv(device, 100) == b"<hello"
        assert await loop.sock_recv(device, 100) == b""
        await carried
    assert near.fileno() == -1
    device.close()
    server.close()


async def test_an_advisor_that_is_gone_ends_the_connection_and_loses_the_device() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    device, near = socket.socketpair()
    near.setblocking(False)
    made = Diversions(sessions(a="10.0.0.1"), Clock())
    made.lead(ONE, port)
    await made.carry(near, "10.0.0.1", port)
    assert near.fileno() == -1
    assert made.port_for("10.0.0.1") == 0
    device.close()


def test_a_device_has_one_advisor_at_a_time() -> None:
    clock = Clock()
    made = Diversions(sessions(a="10.0.0.1"), clock)
    made.lead(ONE, 7000)
    with pytest.raises(StagingError, match="another run of the advisor has it"):
        made.lead(ONE, 7001)
    assert made.port_for("10.0.0.1") == 7000
    clock.now = LEASE_SECONDS + 1
    made.lead(ONE, 7001)
    assert made.port_for("10.0.0.1") == 7001


async def test_a_relay_that_is_broken_off_ends_both_ways_and_says_so() -> None:
    """A cancellation that is lost here would leave its caller serving a cloud that ends."""
    made = Diversions(sessions(a="10.0.0.1"), Clock())
    arrived: asyncio.Queue[asyncio.StreamReader] = asyncio.Queue()

    async def advise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.put_nowait(reader)
        await reader.read()
        writer.close()

    here, there = socket.socketpair()
    here.setblocking(False)
    async with await asyncio.start_server(advise, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        carrying = asyncio.create_task(made.carry(here, "10.0.0.1", port))
        reader = await arrived.get()
        carrying.cancel()
        await asyncio.wait([carrying])
        assert carrying.cancelled()
        async with asyncio.timeout(60):
            assert await reader.read() == b""
    assert there.recv(1) == b""
    there.close()
