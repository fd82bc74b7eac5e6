"""The UDP socket of servers: from which address it answers, whom it does not answer, and what it remembers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Hashable, Iterator
from typing import Any

import pytest
from aiocoap.numbers.constants import TransportTuning

from transport import udp
from transport.datagram import DatagramServer, Site
from transport.errors import TransportError
from transport.udp import IP_PKTINFO, bind_udp
from wire.exchange import Answer, Request

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TURN_LIMIT = 32


DEADLINE = 60.0
GET, CON, NON = 1, 0, 1


def packet(mid: int, *, kind: int = CON, code: int = GET, token: bytes = b"T") -> bytes:
    return struct.pack("!BBH", 0x40 | kind << 4 | len(token), code, mid) + token


class Served:
    def __init__(self, port: int, server: DatagramServer) -> None:
        self.port = port
        self.server = server
        self.asked = 0

    async def handle(self, _request: Request) -> Answer:
        self.asked += 1
        return Answer(0x45, b"%d" % self.asked)


@contextlib.asynccontextmanager
async def serving(host: str) -> AsyncIterator[Served]:
    bound = bind_udp(host, 0)
    made = Served(bound.getsockname()[1], None)  # type: ignore[arg-type]
    made.server = DatagramServer.serve(bound, Site(made.handle))
    yield made
    await made.server.shutdown()


async def ask(client: socket.socket, data: bytes) -> bytes:
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, data)
    async with asyncio.timeout(DEADLINE):
        return await loop.sock_recv(client, 2000)


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("0.0.0.0", "127.0.0.5"), ("127.0.0.5", "127.0.0.5"), ("::", "::1"),
        ("::", "127.0.0.5"), ("::1", "::1"),
    ],
)  # fmt: skip
async def test_the_answer_comes_from_the_address_that_was_asked(host: str, asked: str) -> None:
    """A connected socket hears no other; the system would prefer 127.0.0.1."""
    family = socket.AF_INET6 if ":" in asked else socket.AF_INET
    async with serving(host) as served:
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.connect((asked, served.port))
            assert (await ask(client, packet(1))).endswith(b"\xff1")


async def test_a_port_in_use_and_an_address_that_is_none_are_named() -> None:
    with bind_udp("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TransportError, match=rf"CoAP on 127\.0\.0\.1:{port}: Address already"):
            bind_udp("127.0.0.1", port)
    with pytest.raises(TransportError, match=r"CoAP on nowhere\.invalid:0: "):
        bind_udp("nowhere.invalid", 0)


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(
        TransportError, match=r"CoAP on \[fe80::1%none0\]:5683: no interface with this name"
    ):
        bind_udp("fe80::1%none0", 5683)


@pytest.mark.parametrize("address", ["203.0.113.1", "2001:db8::1", "fe80::1%lo"])
def test_an_address_that_comes_with_the_wifi_is_bound_before(address: str) -> None:
    bind_udp(address, 0).close()


def ancillary(own: str, asked: str) -> list[tuple[int, int, bytes]]:
    data = struct.pack("=i4s4s", 3, socket.inet_aton(own), socket.inet_aton(asked))
    return [(socket.IPPROTO_IP, IP_PKTINFO, data)]


@pytest.mark.parametrize(
    ("told", "answers"),
    [
        (ancillary("192.168.1.7", "192.168.1.7"), True),
        (ancillary("192.168.1.7", "192.168.1.255"), False),
        (ancillary("192.168.1.7", "224.0.1.187"), False),
        ([], False),
        ([(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, bytes.fromhex("fe80" + "00" * 14 + "02000000"))], True),
        ([(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, bytes.fromhex("ff02" + "00" * 14 + "02000000"))], False),
    ],
)  # fmt: skip
def test_what_was_sent_to_a_group_is_not_answered(told: Any, *, answers: bool) -> None:
    assert (udp._own_address(told) is not None) == answers


async def test_a_repeated_message_gets_its_answer_again_and_is_carried_out_once() -> None:
    async with serving("127.0.0.1") as served:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", served.port))
            first = await ask(client, packet(7))
            assert await ask(client, packet(7)) == first
            assert served.asked == 1


async def test_few_messages_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "RECENT_LIMIT", 4)
    async with serving("127.0.0.1") as served:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", served.port))
            for mid in range(50):
                await ask(client, packet(mid))
            messages = served.server._context.request_interfaces[0].token_interface
            assert len(messages._answers) == 4
            await ask(client, packet(0))
            assert served.asked == 51


async def test_noise_is_not_answered(caplog: pytest.LogCaptureFixture) -> None:
    noise = [
        b"", b"x", b"\x40", bytes(2000), packet(1)[:-1], packet(1, kind=2), packet(1, kind=3),
        packet(1, code=0x45), packet(1, code=0x45, kind=NON), packet(1, code=0, kind=2, token=b""),
        packet(1, code=0, kind=NON, token=b""), packet(1, code=0), packet(1) + b"\xff" + bytes(4000),
    ]  # fmt: skip
    async with serving("127.0.0.1") as served:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", served.port))
            for each in noise:
                client.send(each)
            assert (await ask(client, packet(2))).endswith(b"\xff1")
            reset = await ask(client, packet(9, code=0, token=b""))  # a ping
            assert reset == b"\x70\x00\x00\x09"
    assert caplog.records == []


async def test_too_many_requests_at_once_are_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "REQUESTS_LIMIT", 3)
    running, released = [0], asyncio.Event()

    async def slow(_request: Request) -> Answer:
        running[0] += 1
        await released.wait()
        return Answer(0x45)

    bound = bind_udp("127.0.0.1", 0)
    server = DatagramServer.serve(bound, Site(slow))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(bound.getsockname())
        client.setblocking(False)
        for number in range(8):
            client.send(packet(number, token=bytes([number])))
        while running[0] < 3:
            await asyncio.sleep(0)
        released.set()
        for _ in range(3):
            async with asyncio.timeout(DEADLINE):
                await asyncio.get_running_loop().sock_recv(client, 2000)
    await server.shutdown()
    assert running == [3]


class Watched:
    """A value that is observed, and changes."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.is_over = False
        self.value = 0
        self.watching = 0

    @contextlib.contextmanager
    def watch(self, _path: tuple[str, ...], _owner: Hashable) -> Iterator[Watched]:
        self.watching += 1
        try:
            yield self
        finally:
            self.watching -= 1

    async def handle(self, _request: Request) -> Answer:
        return Answer(0x45, b"%d" % self.value)

    async def change(self) -> None:
        self.value += 1
        await self.wake()

    async def wake(self) -> None:
        self.changed.set()
        while self.changed.is_set():
            await asyncio.sleep(0)


OBSERVE = b"\x60"  # the option with the value 0


async def test_who_confirms_nothing_is_told_the_newest_value_and_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched()
    bound = bind_udp("127.0.0.1", 0)
    server = DatagramServer.serve(bound, Site(watched.handle, None, watched.watch))
    messages = server._context.request_interfaces[0].token_interface
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(bound.getsockname())
        assert (await ask(client, packet(1) + OBSERVE)).endswith(b"0")
        for _ in range(20):
            await watched.change()
        async with asyncio.timeout(DEADLINE):
            told = await asyncio.get_running_loop().sock_recv(client, 99)
        assert (told[0] >> 4, told[-2:]) == (4, b"\xff1")  # a CON
        (backlog,) = messages._backlogs.values()
        assert len(backlog) == 1
        client.send(b"\x60\0" + told[2:4])
        async with asyncio.timeout(DEADLINE):
            newest = await asyncio.get_running_loop().sock_recv(client, 99)
        assert newest.endswith(b"\xff20")
        monkeypatch.setattr(TransportTuning, "ACK_TIMEOUT", 0.001)
        client.send(b"\x60\0" + newest[2:4])
        await watched.change()
        async with asyncio.timeout(DEADLINE):
            while watched.watching:
                await asyncio.sleep(0)
    await server.shutdown()


async def test_who_loses_an_observation_is_told_by_an_answer_without_the_option() -> None:
    watched = Watched()
    bound = bind_udp("127.0.0.1", 0)
    server = DatagramServer.serve(bound, Site(watched.handle, None, watched.watch))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(bound.getsockname())
        await ask(client, packet(1) + OBSERVE)
        watched.is_over = True
        await watched.wake()
        async with asyncio.timeout(DEADLINE):
            told = await asyncio.get_running_loop().sock_recv(client, 99)
    assert told[-2:] == b"\xff0"
    assert b"\x61" not in told[4:-2]  # Observe, RFC 7641
    assert watched.watching == 0
    await server.shutdown()


async def test_a_reset_ends_an_observation() -> None:
    watched = Watched()
    bound = bind_udp("127.0.0.1", 0)
    server = DatagramServer.serve(bound, Site(watched.handle, None, watched.watch))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(bound.getsockname())
        await ask(client, packet(1) + OBSERVE)
        await watched.change()
        async with asyncio.timeout(DEADLINE):
            told = await asyncio.get_running_loop().sock_recv(client, 99)
            client.send(b"\x70\0" + told[2:4])
            while watched.watching:
                await asyncio.sleep(0)
    await server.shutdown()


def test_what_the_kernel_tells_beside_the_address_is_passed_over() -> None:
    own = ancillary("192.168.1.7", "192.168.1.7")
    other = (socket.IPPROTO_IP, socket.IP_TTL, b"\x40\0\0\0")
    assert udp._own_address([other, *own]) == udp._own_address(own)


async def test_more_packets_than_a_turn_takes_are_all_answered() -> None:
    count = 3 * TURN_LIMIT
    async with serving("127.0.0.1") as served:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", served.port))
            for mid in range(count):
                client.send(packet(mid, token=bytes([mid])))  # the machine has had no turn yet
            await ask(client, packet(count, token=b"last"))
            while served.asked <= count:
                async with asyncio.timeout(DEADLINE):
                    await asyncio.get_running_loop().sock_recv(client, 2000)


async def test_a_peer_is_named_by_its_address_and_known_by_its_socket() -> None:
    bound = bind_udp("::1", 0)
    port = bound.getsockname()[1]
    peer = udp.Peer(("fe80::1", 5683, 0, 0), (0, 0, b""), bound)
    server = udp.UdpServer(bound, None, None, lambda _address: True)  # type: ignore[arg-type]
    assert (peer.hostinfo, peer.uri_base) == ("[fe80::1]:5683", "coap://[fe80::1]:5683")
    assert (peer.hostinfo_local, peer.uri_base_local) == (f"[::1]:{port}", f"coap://[::1]:{port}")
    assert await server.recognize_remote(peer)
    assert not await server.recognize_remote(("fe80::1", 5683))
    await server.shutdown()
