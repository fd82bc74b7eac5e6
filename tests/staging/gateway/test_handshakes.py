"""Handshakes that fail are told with peer and reason; those that succeed are carried as before."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator

import pytest

from staging.crowd import DoorLimits
from staging.doorman import Settle
from staging.gateway import tls
from staging.gateway.handshakes import TlsServer, reason_of
from staging.identity import ca
from staging.listening import listen

LIMITS = DoorLimits(open=10)


@contextlib.asynccontextmanager
async def serving(
    certificates: ca.Certificates, *, seconds: float = 30, limits: DoorLimits = LIMITS
) -> AsyncIterator[int]:
    async def echo(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settle: Settle
    ) -> None:
        settle()
        writer.write(await reader.readexactly(4))
        await writer.drain()
        writer.close()

    context = tls.server_context(certificates, legacy=False)
    server = TlsServer(echo, context, handshake_seconds=seconds, shutdown_seconds=1, limits=limits)
    with listen("127.0.0.1", 0, "--device-port") as listener:
        server.start(listener)
        try:
            yield listener.getsockname()[1]
        finally:
            server.close()
    async with asyncio.timeout(20):
        while len(server):
            await asyncio.sleep(0)


async def wait_for(caplog: pytest.LogCaptureFixture, text: str) -> None:
    async with asyncio.timeout(20):
        while text not in caplog.text:
            await asyncio.sleep(0.005)


def shake(context: ssl.SSLContext, port: int, name: str) -> None:
    """Connect as most devices do; asyncio's client drops the alert that says why."""
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        context.wrap_socket(plain, server_hostname=name).close()


def trusting(certificates: ca.Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates.ca)


async def test_a_good_one_is_carried_even_if_its_first_bytes_come_with_the_handshake(
    certificates: ca.Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(certificates) as port:
        for _ in range(5):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trusting(certificates)
            )
            writer.write(b"ping")
            assert await reader.read() == b"ping"
            writer.close()
            await writer.wait_closed()
    assert not caplog.records


async def test_what_fails_is_told_with_peer_and_reason(
    certificates: ca.Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(certificates) as port:
        strange = ssl.create_default_context()
        strange.maximum_version = ssl.TLSVersion.TLSv1_2
        for context, name in ((strange, "127.0.0.1"), (trusting(certificates), "other.example")):
            with pytest.raises(ssl.SSLError):
                await asyncio.to_thread(shake, context, port, name)
        await wait_for(caplog, "does not trust this cloud's CA")
        await wait_for(caplog, "refused our certificate")
        for sent, said in (
            (b"GET / HTTP/1.1\r\n\r\n", "the peer speaks HTTP"),
            (b"\xbe\xef\xde\xad\0\0\0\x10 framed without TLS", "does not speak TLS"),
            (b"", "the peer closed the connection"),
        ):
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            peer = writer.get_extra_info("sockname")
            writer.write(sent)
            if not sent:
                writer.close()
            await wait_for(caplog, said)
            assert f"{peer[0]}:{peer[1]}: TLS handshake failed: " in caplog.text
            writer.close()
    assert all(record.levelno == logging.WARNING for record in caplog.records)


async def test_a_peer_that_begins_and_does_not_go_on(
    certificates: ca.Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(certificates, seconds=0.5, limits=DoorLimits(open=10, begun=1)) as port:
        _one, first = await asyncio.open_connection("127.0.0.1", port)
        first.write(b"\x16\x03\x01")
        await wait_for(caplog, "it took longer than 0.5 s")
        reader, second = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusting(certificates)
        )
        second.write(b"ping")  # its place is free again
        assert await reader.read() == b"ping"
        first.close()
        second.close()


async def test_the_end_of_the_server_ends_handshakes(certificates: ca.Certificates) -> None:
    async with serving(certificates) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01")
        await writer.drain()
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


def test_old_firmware_is_told_what_it_needs() -> None:
    error = ssl.SSLError(1, "[SSL: NO_SHARED_CIPHER] no shared cipher (_ssl.c:992)")
    error.reason = "NO_SHARED_CIPHER"
    assert "--legacy-tls" in reason_of(error, 10)
    assert reason_of(ConnectionResetError(), 10).startswith("the peer closed")
