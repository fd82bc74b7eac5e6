"""Block-wise transfers: what fits no body, and what has no end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.transport.raw import GET, POST, receive, still_answers
from transport.errors import RequestRejectedError, RequestTimeoutError
from wire.codes import Code
from wire.exchange import Answer, Request

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
MAX_TRANSFERS = 4
MAX_RECENT = 512
BODY_LIMIT = 65_536

if TYPE_CHECKING:
    from tests.transport.conftest import Bench


DEADLINE = 60.0


def block(number: int, *, more: bool, exponent: int = 6) -> bytes:
    return (number << 4 | more << 3 | exponent).to_bytes(3, "big")


@pytest.mark.parametrize(
    ("number", "value", "payload"),
    [
        (27, block(5, more=False), b"Block1 that answers no Block1"),
        (23, block(3, more=True), bytes(1024)),  # a Block2 transfer that starts in the middle
    ],
)
async def test_an_answer_with_a_block_of_another_exchange_is_rejected(
    bench: Bench, number: int, value: bytes, payload: bytes
) -> None:
    peer = await bench.raw()
    pending = asyncio.create_task(
        peer.endpoint.request(peer.connection, "GET", ("x",), deadline=DEADLINE)
    )
    asked = await receive(peer)
    options = bench.option(number, value)
    peer.send(bench.coap(bench.ACK, Code.CONTENT, asked.mid, asked.token, options, payload))
    with pytest.raises(RequestRejectedError, match="the exchange failed"):
        await pending
    await still_answers(bench, peer)


@pytest.mark.parametrize(
    ("number", "payload"),
    [
        (0, b"shorter than its block"),
        (BODY_LIMIT // 1024, bytes(1024)),
    ],
)
async def test_an_answer_that_fits_no_body_is_ignored(
    bench: Bench, number: int, payload: bytes
) -> None:
    peer = await bench.raw()
    pending = asyncio.create_task(
        peer.endpoint.request(peer.connection, "GET", ("x",), deadline=0.2)
    )
    asked = await receive(peer)
    option = bench.option(23, block(number, more=True))
    peer.send(bench.coap(bench.ACK, Code.CONTENT, asked.mid, asked.token, option, payload))
    with pytest.raises(RequestTimeoutError):
        await pending
    await still_answers(bench, peer)


async def test_an_answer_without_end_is_not_collected(tcp_bench: Bench) -> None:
    bench, peer = tcp_bench, await tcp_bench.raw()
    pending = asyncio.create_task(
        peer.endpoint.request(peer.connection, "GET", ("x",), deadline=DEADLINE)
    )
    for number in range(BODY_LIMIT // 1024 + 1):
        asked = await receive(peer)
        option = bench.option(23, block(number, more=True))
        peer.send(bench.coap(bench.ACK, 0x45, asked.mid, asked.token, option, bytes(1024)))
    await still_answers(bench, peer)  # no block more is asked for: that would come before
    assert not pending.done()
    pending.cancel()


def upload(bench: Bench, mid: int, number: int, *, more: bool, size: int = 1024) -> bytes:
    options = bench.encoded_path + bench.option(16, block(number, more=more))
    return bench.coap(bench.CON, POST, mid, b"up", options, bytes(size))


@pytest.mark.parametrize(
    ("blocks", "codes"),
    [
        ([(0, True), (2, True)], ["2.31", "4.08"]),
        ([(1, False)], ["4.08"]),
        ([(0, True), (1, False), (1, False)], ["2.31", "2.05", "4.08"]),
        ([(BODY_LIMIT // 1024, True)], ["4.13"]),
    ],
)
async def test_blocks_that_make_no_body(
    bench: Bench, blocks: list[tuple[int, bool]], codes: list[str]
) -> None:
    async def handler(request: Request) -> Answer:
        return Answer(Code.CONTENT, b"" if request.payload[:1] == b"\0" else request.payload)

    peer = await bench.raw(handler)
    got = []
    for mid, (number, more) in enumerate(blocks):
        peer.send(upload(bench, mid, number, more=more))
        got.append((await receive(peer)).code.dotted)
    assert got == codes
    await still_answers(bench, peer)


async def test_a_body_without_end_is_refused_at_the_limit(tcp_bench: Bench) -> None:
    peer = await tcp_bench.raw()
    codes = []
    for number in range(BODY_LIMIT // 1024 + 1):
        peer.send(upload(tcp_bench, number, number, more=True))
        codes.append((await receive(peer)).code.dotted)
    assert codes == ["2.31"] * (BODY_LIMIT // 1024) + ["4.13"]


async def test_what_a_peer_makes_us_hold_is_bounded(tcp_bench: Bench) -> None:
    bench = tcp_bench

    async def handler(request: Request) -> Answer:
        return Answer(Code.CONTENT, request.payload or bytes(3000))

    peer = await bench.raw(handler)
    for mid in range(1000):
        path = bench.option(11, b"%d" % mid)
        code, options = (POST, bench.option(16, block(0, more=True))) if mid % 2 else (GET, b"")
        payload = bytes(1024) if mid % 2 else b""
        peer.send(bench.coap(bench.NON, code, mid, b"t", path + options, payload))
        await receive(peer)
    held = peer.connection.transfers
    assert len(held._uploads._assemblies) == MAX_TRANSFERS
    assert len(held._replies._completes) == MAX_TRANSFERS
    assert len(peer.connection.recent) == MAX_RECENT
    assert peer.connection.serving == 0
