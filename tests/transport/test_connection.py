"""A connection whose peer goes away, falls silent, or never reads."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

import pytest

from transport.connection import WRITE_BUFFER_LIMIT

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
