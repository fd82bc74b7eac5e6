"""A connection whose peer goes away, falls silent, or never reads."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from transport.connection import Connection
from wire.framing import encode_frame

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
WRITE_BUFFER_LIMIT = 262_144

if TYPE_CHECKING:
    from tests.transport.conftest import Bench


DEADLINE = 60.0


async def test_a_silent_peer_is_given_up(bench: Bench) -> None:
    peer = await bench.raw(idle_timeout=0.05)
    assert await peer.ended() == "silent for 0.05 s"


@pytest.mark.parametrize("idle_timeout", [None, 60.0])
async def test_a_network_that_gives_up_is_no_silence(
    tcp_bench: Bench, idle_timeout: float | None
) -> None:
    """ETIMEDOUT arrives as TimeoutError, like the idle timeout."""
    peer = await tcp_bench.raw(idle_timeout=idle_timeout)
    error = OSError(errno.ETIMEDOUT, "Connection timed out")
    assert isinstance(error, TimeoutError)
    peer.connection.reader.set_exception(error)
    assert await peer.ended() == "connection lost: Connection timed out"


async def test_a_peer_that_goes_away_is_told_apart(bench: Bench) -> None:
    peer = await bench.raw()
    peer.writer.transport.abort()
    assert await peer.ended() in {
        "closed by the other side",
        "connection lost: Connection reset by peer",
    }


async def test_a_peer_that_never_reads_is_cut_at_the_limit(bench: Bench) -> None:
    peer = await bench.raw()
    peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
    sent = 0
    while peer.connection.close_reason is None:
        peer.connection.send(bytes(1024))
        sent += 1024
        await asyncio.sleep(0)
        assert sent < 64 * 1024 * 1024
    assert sent > WRITE_BUFFER_LIMIT
    assert await peer.ended() == "the other side stopped reading"
    peer.connection.send(b"after the end")  # dropped


async def test_a_cancelled_server_does_not_wait_for_a_peer_that_never_reads(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transport.framed.CLOSE_TIMEOUT", 0.05)
    peer = await bench.raw()
    peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
    transport = peer.connection._writer.transport
    while transport.get_write_buffer_size() == 0:
        peer.connection.send(bytes(8192))
        await asyncio.sleep(0)
    lost = asyncio.ensure_future(peer.connection._writer.wait_closed())
    peer.end.cancel()
    async with asyncio.timeout(DEADLINE):
        await asyncio.wait([lost])
    lost.exception()  # of the stream; only its end matters


class Tap:
    """Keeps what it sees."""

    def __init__(self) -> None:
        self.came, self.went = bytearray(), list[bytes]()

    def heard(self, data: bytes) -> None:
        self.came += data

    def sent(self, frame: bytes) -> None:
        self.went.append(frame)


async def test_a_tap_sees_the_bytes_of_both_ways(bench: Bench) -> None:
    peer = await bench.raw()
    tap = peer.connection.tap = Tap()
    ping, pong = b"\x40\0\x12\x34", b"\x70\0\x12\x34"
    peer.send(ping)
    assert await peer.receive() == pong
    assert (bytes(tap.came), tap.went) == (encode_frame(ping), [encode_frame(pong)])


async def test_a_connection_is_named_by_its_peer(bench: Bench) -> None:
    peer = await bench.raw()
    host, port = peer.writer.get_extra_info("sockname")
    assert peer.connection.hostinfo == f"{host}:{port}"
    assert peer.connection.uri_base == f"coaps+framed://{host}:{port}"
    has_tls = peer.writer.get_extra_info("ssl_object") is not None
    assert (peer.connection.get_extra_info("ssl_object") is not None) is has_tls


async def test_a_stream_without_an_address_is_dropped_like_any_other(tmp_path: Path) -> None:
    accepted: asyncio.Queue[Connection] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait(Connection(reader, writer))

    server = await asyncio.start_unix_server(accept, tmp_path / "socket")
    reader, writer = await asyncio.open_unix_connection(tmp_path / "socket")
    async with asyncio.timeout(DEADLINE):
        connection = await accepted.get()
        connection.reset("not wanted")
        assert await reader.read() == b""
    assert (connection.hostinfo, connection.close_reason) == ("stream", "not wanted")
    writer.close()
    server.close()
