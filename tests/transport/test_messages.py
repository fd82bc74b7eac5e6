"""The memory of a peer's last requests: enough for its retransmissions, and bounded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from transport.coap import decode_message
from transport.errors import RequestRejectedError
from transport.messages import RecentRequests

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
EXCHANGE_LIFETIME = 60.0
MAX_RECENT = 512

if TYPE_CHECKING:
    from tests.transport.conftest import Bench

DEADLINE = 60.0


def test_a_repeated_id_is_a_duplicate_until_its_exchange_ends() -> None:
    recent = RecentRequests()
    assert recent.add(7, now=100.0)
    assert not recent.add(7, now=100.0 + EXCHANGE_LIFETIME - 1)
    assert recent.add(7, now=100.0 + EXCHANGE_LIFETIME)
    assert not recent.add(7, now=101.0 + EXCHANGE_LIFETIME)


def test_the_answer_is_kept_for_the_duplicate_and_dropped_with_a_new_exchange() -> None:
    recent = RecentRequests()
    recent.add(7, now=0.0)
    assert recent.answer(7) == b""
    recent.keep_answer(7, b"answer")
    recent.keep_answer(8, b"to nothing")
    assert (recent.answer(7), recent.answer(8)) == (b"answer", b"")
    recent.add(7, now=EXCHANGE_LIFETIME)
    assert recent.answer(7) == b""


def test_the_oldest_are_forgotten_first() -> None:
    recent = RecentRequests()
    assert all(recent.add(mid, now=0.0) for mid in range(65536))
    assert len(recent) == MAX_RECENT
    assert not recent.add(65535, now=0.0)
    assert recent.add(0, now=0.0)


async def test_an_id_that_is_used_again_belongs_to_the_newer_request(
    tcp_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 65,536 messages; a reset of it must not end the request that had it before."""
    peer = await tcp_bench.raw()
    manager = peer.endpoint._interface._manager
    monkeypatch.setattr(manager, "_next_message_id", lambda: 7)
    asking = [
        asyncio.create_task(
            peer.endpoint.request(peer.connection, "GET", (name,), deadline=DEADLINE)
        )
        for name in ("older", "newer")
    ]
    older, newer = [decode_message(await peer.receive(), None) for _ in asking]
    peer.send(tcp_bench.coap(tcp_bench.RST, 0, newer.mid))
    with pytest.raises(RequestRejectedError, match="reset"):
        await asking[1]
    peer.send(tcp_bench.coap(tcp_bench.NON, 0x45, 9, older.token, payload=b"late"))
    assert (await asking[0]).payload == b"late"


async def test_an_exchange_is_forgotten_and_its_request_is_not(
    tcp_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transport.messages.EXCHANGE_LIFETIME", 0.01)
    peer = await tcp_bench.raw()
    manager = peer.endpoint._interface._manager
    asking = asyncio.create_task(
        peer.endpoint.request(peer.connection, "GET", ("x",), deadline=DEADLINE)
    )
    request = decode_message(await peer.receive(), None)
    await tcp_bench.until(lambda: not manager._active_exchanges)
    peer.send(
        tcp_bench.coap(tcp_bench.RST, 0, request.mid),
        tcp_bench.coap(tcp_bench.NON, 0x45, 9, request.token, payload=b"late"),
    )
    assert (await asking).payload == b"late"
