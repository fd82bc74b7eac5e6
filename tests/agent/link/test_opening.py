"""Opening a connection to the cloud: its phases, what passes, and hosts of several addresses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

import agent.link.opening
from agent.link import ConnectError, LinkError, OutOfDateError, ResolveError, TlsError
from agent.link.opening import Opener, tls_context
from base.clock import TrustedTime
from tests import pki
from tests.authority import HOUR, Authority
from transport.dial import Address

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
# Seconds. Long enough for any handshake here; what is dead has less.
TIMEOUT = 20.0


def opener(authority: Authority, port: int, host: str = "127.0.0.1", timeout: float = TIMEOUT) -> Opener:  # fmt: skip
    return Opener(host, port, tls_context(authority.pem), timeout, TrustedTime())


@contextlib.asynccontextmanager
async def listening(
    serve: Serve, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    async with await asyncio.start_server(serve, host, 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the other side goes."""
    with contextlib.suppress(OSError):
        while await reader.read(4096):
            pass
    writer.close()


def saying(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(answer)
        writer.close()

    return serve


async def error_of(opening: Opener) -> LinkError:
    with pytest.raises(LinkError) as caught:
        await opening.open()
    return caught.value


async def check_opens(opening: Opener) -> None:
    (_reader, writer), chain_end = await opening.open()
    assert chain_end > 0
    writer.transport.abort()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"\x15\x03\x03\0\x02\x02\x28",  # a fatal alert: handshake_failure
        b"\x15\x03\x03\0\x02\x02\x50",  # internal_error
        b"\0" * 64,
        b"",
    ],
)
async def test_whatever_else_than_tls_answers_passes(authority: Authority, answer: bytes) -> None:
    async with listening(saying(answer)) as port:
        error = await error_of(opener(authority, port))
    assert type(error) is TlsError
    assert (error.slow, error.phase) == (False, "tls")
    assert str(error).startswith("TLS failed: ")
    assert len(str(error)) > len("TLS failed: ")
    assert error.remedy


async def test_a_certificate_out_of_date_is_an_error_of_its_own(authority: Authority) -> None:
    context = authority.server_context(start=-HOUR, end=-HOUR / 2)
    async with listening(hold, context) as port:
        assert type(await error_of(opener(authority, port))) is OutOfDateError


async def test_the_reason_of_a_dead_port_and_of_a_silent_one(authority: Authority) -> None:
    error = await error_of(opener(authority, 9))
    assert type(error) is ConnectError
    assert str(error) == "cannot connect: 127.0.0.1:9: Connection refused"
    async with listening(hold) as port:
        error = await error_of(opener(authority, port, timeout=0.5))
    assert str(error) == "TLS failed: no answer within 0.5 s"


async def test_a_name_server_that_never_answers_has_one_look_up_at_a_time(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def never(_host: str, _port: int) -> list[Address]:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(agent.link.opening, "resolve", never)
    opening = opener(authority, 9, timeout=0.01)
    for _ in range(3):
        error = await error_of(opening)
        assert type(error) is ResolveError
        assert "no name server answers" in str(error)
    assert asked == 1


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid", "xn--\u00df."])
async def test_a_name_without_an_address_is_named(authority: Authority, host: str) -> None:
    error = await error_of(opener(authority, 9, host))
    assert type(error) is ResolveError
    assert host in str(error)


async def test_a_dead_address_of_two_costs_no_timeout(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses: list[Address] = []

    async def two(_host: str, _port: int) -> list[Address]:
        return addresses

    monkeypatch.setattr(agent.link.opening, "resolve", two)
    async with listening(hold, authority.server_context()) as port:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            dead = full.getsockname()
            fillers = [socket.socket() for _ in range(2)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(dead)
            addresses += [Address(socket.AF_INET, dead), Address(socket.AF_INET, ("127.0.0.1", port))]  # fmt: skip
            await check_opens(opener(authority, port))
            for filler in fillers:
                filler.close()


async def test_after_an_address_without_tls_the_other_one_is_tried_first(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        listening(saying(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")) as portal,
        listening(hold, authority.server_context()) as port,
    ):
        found = [Address(socket.AF_INET, ("127.0.0.1", number)) for number in (portal, port)]

        async def two(_host: str, _port: int) -> list[Address]:
            return found

        monkeypatch.setattr(agent.link.opening, "resolve", two)
        opening = opener(authority, port)
        assert type(await error_of(opening)) is TlsError
        await check_opens(opening)


async def test_a_host_with_a_trailing_dot_is_the_certificates(authority: Authority) -> None:
    async with listening(hold, authority.server_context("localhost")) as port:
        await check_opens(opener(authority, port, "localhost."))


async def test_an_ipv6_address_is_the_certificates(authority: Authority) -> None:
    async with listening(hold, authority.server_context("::1"), "::1") as port:
        await check_opens(opener(authority, port, "::1"))
    error = await error_of(opener(authority, 9, "::1"))
    assert str(error) == "cannot connect: [::1]:9: Connection refused"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_ca_that_was_renewed_with_its_key_opens_both_links(order: tuple[int, int]) -> None:
    """As openssl and curl do: a fleet whose profiles have both does not go dark on the day of the old one."""
    key = pki.make_key()
    roots = pki.authority("root", key, pki.OVER), pki.authority("root", key)
    context = pki.server_context(pki.server(("root", key)), *(roots[n] for n in reversed(order)))
    for trusted in ([roots[n] for n in order], roots[1:]):
        async with listening(hold, context) as port:
            tls = tls_context(pki.pem_of(*trusted))
            opening = Opener("127.0.0.1", port, tls, TIMEOUT, TrustedTime())
            await check_opens(opening)
            sock, chain_end = await opening.open_socket()  # for a broker
            sock.close()
            assert chain_end == pki.VALID[1].replace(microsecond=0).timestamp()


async def test_an_expired_ca_alone_is_out_of_date() -> None:
    key = pki.make_key()
    old = pki.authority("root", key, pki.OVER)
    context = pki.server_context(pki.server(("root", key)), pki.authority("root", key))
    async with listening(hold, context) as port:
        opening = Opener("127.0.0.1", port, tls_context(old.pem), TIMEOUT, TrustedTime())
        assert isinstance(await error_of(opening), OutOfDateError)
