"""Exchanges are known by their tokens while they last, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import aiocoap
import pytest

from transport.errors import RequestTimeoutError
from wire.codes import Code
from wire.exchange import Answer, Request

if TYPE_CHECKING:
    from tests.transport.conftest import Bench

DEADLINE = 60.0
ROUNDS = 20


def messages() -> int:
    return sum(type(known) is aiocoap.Message for known in gc.get_objects())


async def test_a_message_leaves_nothing_to_the_collector(tcp_bench: Bench) -> None:
    async def answer(_request: Request) -> Answer:
        return Answer(Code.CHANGED, b"done")

    pair = await tcp_bench.pair(answer, answer)

    async def ask() -> None:
        await pair.client.request(pair.to_server, "PUT", ("report",), b"{}", deadline=DEADLINE)

    await ask()
    gc.collect()
    before = messages()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            await ask()
        # Some of the last one's may be held by what is not at its end yet.
        assert messages() - before < ROUNDS
    finally:
        gc.enable()


async def test_a_request_that_was_given_up_leaves_nothing_and_the_next_one_is_answered(
    tcp_bench: Bench,
) -> None:
    never = asyncio.Event()

    async def wait(request: Request) -> Answer:
        if request.path == ("never",):
            await never.wait()
        return Answer(Code.CONTENT, b"here")

    pair = await tcp_bench.pair(wait, wait)
    for _ in range(3):
        with pytest.raises(RequestTimeoutError):
            await pair.client.request(pair.to_server, "GET", ("never",), deadline=0.01)
    never.set()  # its answers come to nobody
    told = await pair.client.request(pair.to_server, "GET", ("x",), deadline=DEADLINE)
    assert told == Answer(Code.CONTENT, b"here")


async def test_a_request_with_the_token_of_one_that_is_served_takes_its_place(
    tcp_bench: Bench,
) -> None:
    begun, cancelled, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(request: Request) -> Answer:
        if request.payload == b"first":
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
        await go_on.wait()
        return Answer(Code.CONTENT, request.payload)

    peer = await tcp_bench.raw(handle)
    path = tcp_bench.encoded_path
    async with asyncio.timeout(DEADLINE):
        peer.send(tcp_bench.coap(tcp_bench.CON, 3, 1, b"same", path, b"first"))
        await begun.wait()
        peer.send(tcp_bench.coap(tcp_bench.CON, 3, 2, b"same", path, b"second"))
        await cancelled.wait()
        go_on.set()
        # An empty ACK may come first, when the answer has taken its time.
        while not (answer := await peer.receive()).endswith(b"\xffsecond"):
            assert answer[1] == 0, answer
    assert b"same" in answer
    # The connection is as it was: the token is free again.
    peer.send(tcp_bench.coap(tcp_bench.CON, 3, 3, b"same", path, b"third"))
    while not (answer := await peer.receive()).endswith(b"\xffthird"):
        assert answer[1] == 0, answer
