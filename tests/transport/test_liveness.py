"""Pings on a quiet connection, by a raw peer that answers or does not, and the system's probes."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from transport.liveness import is_ping, pong_to

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
USER_TIMEOUT_MS = 28_000

PING, ID = b"\x40\0", b"\x12\x34"


def test_a_ping_is_an_empty_con_and_its_answer_an_rst_with_its_id() -> None:
    assert is_ping(PING + ID)
    assert pong_to(PING + ID) == b"\x70\0" + ID
    for other in (b"", PING, b"\x70\0" + ID, b"\x50\0" + ID, b"\x40\x01" + ID, PING + ID + b"x"):
        assert not is_ping(other)


async def test_a_quiet_peer_is_asked_and_stays_as_long_as_it_answers(bench: Any) -> None:
    peer = await bench.raw()
    peer.endpoint.watch(peer.connection, 0.01, 0.02)
    asked = []
    for _ in range(3):
        ping = await peer.receive()
        assert is_ping(ping)
        asked.append(ping)
        peer.send(pong_to(ping))
    assert len(set(asked)) == 3
    assert not peer.end.done()


async def test_a_peer_that_does_not_answer_is_dropped_with_the_reason(bench: Any) -> None:
    peer = await bench.raw()
    peer.endpoint.watch(peer.connection, 0.01, 0.01)
    assert "does not answer a ping" in await peer.ended()


async def test_any_message_is_a_sign_of_life(bench: Any) -> None:
    peer = await bench.raw()
    peer.endpoint.watch(peer.connection, 0.01, 60)
    assert is_ping(await peer.receive())
    heard = peer.connection.heard_at
    peer.send(bench.coap(bench.NON, 1, 7, b"t", bench.encoded_path))
    await bench.until(lambda: peer.connection.heard_at > heard)


async def test_a_ping_is_answered_before_anything_else_is_known(bench: Any) -> None:
    peer = await bench.raw()
    peer.send(PING + ID)
    assert await peer.receive() == pong_to(PING + ID)


async def test_the_end_of_a_connection_ends_its_watch(bench: Any) -> None:
    peer = await bench.raw()
    peer.endpoint.watch(peer.connection)
    peer.writer.close()
    await peer.ended()
    assert not peer.endpoint._watches


async def test_the_system_looks_after_peers_that_read_no_pings(bench: Any) -> None:
    peer = await bench.raw()
    await asyncio.sleep(0)
    handle = peer.connection.handle
    assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == USER_TIMEOUT_MS
    idle, interval, count = (
        handle.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    # The first question after ours of 21 s, the last before the connection counts as lost.
    assert (idle, idle + interval * count) == (22, 28)


async def test_an_answer_to_a_question_is_waited_for_by_who_asks(bench: Any) -> None:
    peer = await bench.raw()
    asking = asyncio.create_task(peer.endpoint.answers(peer.connection))
    peer.send(pong_to(await peer.receive()))
    assert await asking
    asking = asyncio.create_task(peer.endpoint.answers(peer.connection))
    await peer.receive()
    peer.connection.close("by us")
    assert not await asking


async def test_a_connection_is_watched_once_and_a_closed_one_not_at_all(tcp_bench: Any) -> None:
    peer, closed = await tcp_bench.raw(), await tcp_bench.raw()
    closed.connection.close("by us")
    for _again in range(2):
        peer.endpoint.watch(peer.connection)
        closed.endpoint.watch(closed.connection)
    assert list(peer.endpoint._watches) == [peer.connection]
    assert not closed.endpoint._watches
