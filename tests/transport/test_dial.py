"""Hosts with several addresses, dead ones among them; the dead ones are full listeners on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from transport.dial import (
    Address,
    connect,
    in_turn,
    local_address,
    name_for_tls,
    resolve,
    show_server,
)

V4, V6 = socket.AF_INET, socket.AF_INET6
# Only turns a hang into a failure.
DEADLINE = 30.0


def v4(port: int, host: str = "127.0.0.1") -> Address:
    return Address(V4, (host, port))


@contextlib.contextmanager
def listening(family: int = V4, host: str = "127.0.0.1", backlog: int = 5) -> Iterator[int]:
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((host, 0))
        listener.listen(backlog)
        yield listener.getsockname()[1]


@contextlib.contextmanager
def dead(family: int = V4, host: str = "127.0.0.1") -> Iterator[int]:
    """A port on which a connection attempt gets no answer: its queue is full."""
    with listening(family, host, 0) as port, socket.socket(family) as first, socket.socket(family) as second:  # fmt: skip
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex((host, port))
        yield port


async def test_a_dead_address_costs_a_quarter_of_a_second_and_no_timeout() -> None:
    with dead() as no_answer, listening() as port:
        async with asyncio.timeout(DEADLINE):
            sock, address = await connect([v4(no_answer), v4(port)])
    assert address == v4(port)
    sock.close()


async def test_dead_ipv6_beside_ipv4() -> None:
    with dead(V6, "::1") as no_answer, listening() as port:
        async with asyncio.timeout(DEADLINE):
            sock, address = await connect([Address(V6, ("::1", no_answer, 0, 0)), v4(port)])
    assert address.family == V4
    sock.close()


async def test_a_refused_address_is_not_waited_for() -> None:
    with listening() as port:
        async with asyncio.timeout(DEADLINE):
            sock, _ = await connect([v4(9), v4(port)], delay=3600)
    sock.close()


async def test_every_address_is_named_with_its_reason() -> None:
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9: Connection refused; 127\.0\.0\.2:9: Conn"):
        await connect([v4(9), v4(9, "127.0.0.2")])
    with pytest.raises(OSError, match="no address"):
        await connect([])


async def test_a_cancelled_try_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, begun = asyncio.get_running_loop(), asyncio.Event()
    real = loop.sock_connect

    async def noted(sock: socket.socket, address: Any) -> None:
        begun.set()
        await real(sock, address)

    monkeypatch.setattr(loop, "sock_connect", noted)
    with dead() as no_answer:
        task = asyncio.create_task(connect([v4(no_answer)]))
        async with asyncio.timeout(DEADLINE):
            await begun.wait()
        task.cancel()
        assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)  # fmt: skip


def test_the_families_take_turns() -> None:
    six = [Address(V6, (f"::{n}", 1, 0, 0)) for n in range(3)]
    four = [v4(1, f"10.0.0.{n}") for n in range(2)]
    assert in_turn(six + four) == [six[0], four[0], six[1], four[1], six[2]]


@pytest.mark.parametrize(
    ("host", "shown"), [("::1", "[::1]:443"), ("10.0.0.1", "10.0.0.1:443"), ("a.b.", "a.b.:443")]
)
def test_an_ipv6_address_is_shown_in_brackets(host: str, shown: str) -> None:
    assert show_server(host, 443) == shown


async def test_the_dot_of_an_absolute_name_is_for_the_resolver_only() -> None:
    assert name_for_tls("cloud.example.") == "cloud.example"
    assert {address.sockaddr[1] for address in await resolve("localhost.", 7)} == {7}


def test_an_address_of_one_link_is_bound_on_its_interface() -> None:
    """Python's own bind forgets the interface, and the kernel then refuses the address."""
    loopback = socket.if_nametoindex("lo")
    for host in ("fe80::1%lo", f"fe80::1%{loopback}"):
        assert local_address(host, 5683) == ("fe80::1", 5683, 0, loopback)
    assert local_address("fe80::1", 5683) == ("fe80::1", 5683)
    assert local_address("127.0.0.1", 5683) == ("127.0.0.1", 5683)
    with pytest.raises(OSError, match="no interface with this name"):
        local_address("fe80::1%none0", 5683)


async def test_a_name_that_is_none_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def unknown(host: str, _port: int, **_kind: Any) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    for host in ("cloud.example", "cloud.example."):
        with pytest.raises(socket.gaierror):
            await resolve(host, 7)
    assert asked == ["cloud.example", "cloud.example.", "cloud.example"]


async def test_the_first_address_is_waited_for_after_all_others_have_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    real, refused = loop.sock_connect, asyncio.Event()

    async def late(sock: socket.socket, address: Any) -> None:
        if address[1] == 9:
            refused.set()
        else:
            await refused.wait()
            for _turn in range(20):  # the other one has failed then, and nobody is left to be tried
                await asyncio.sleep(0)
        await real(sock, address)

    monkeypatch.setattr(loop, "sock_connect", late)
    with listening() as port:
        async with asyncio.timeout(DEADLINE):
            sock, address = await connect([v4(port), v4(9)], delay=0.0)
    assert address == v4(port)
    sock.close()
