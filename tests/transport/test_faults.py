"""A peer that breaks the protocol loses only its message, its exchange or its connection."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

import pytest

from tests.transport.raw import GET, POST, receive, still_answers
from transport.errors import RequestRejectedError, RequestTimeoutError, StreamClosedError
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.framing import encode_frame

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
MAX_SERVING = 64

if TYPE_CHECKING:
    from aiocoap import Message

    from tests.transport.conftest import Bench

DEADLINE = 60.0
# Of the last question after arbitrary messages: an id that was used before would make it a duplicate.
LAST_ID = 0xFFFF


async def test_a_slow_answer_comes_apart_from_its_acknowledgement(bench: Bench) -> None:
    release = asyncio.Event()

    async def handler(request: Request) -> Answer:
        await release.wait()
        return Answer(Code.CONTENT, request.payload)

    peer = await bench.raw(handler)
    peer.send(bench.coap(bench.CON, GET, 9, b"t", bench.encoded_path, b"p"))
    acknowledged = await receive(peer)
    assert (acknowledged.mtype, acknowledged.code, acknowledged.mid) == (bench.ACK, 0, 9)
    release.set()
    answer = await receive(peer)
    assert (answer.mtype, answer.code, answer.token) == (bench.CON, Code.CONTENT, b"t")
    # Never acknowledged: it is neither retransmitted nor delays later messages.
    await still_answers(bench, peer)


@pytest.mark.parametrize("in_progress", [True, False])
async def test_a_confirmable_sent_twice_is_handled_once(bench: Bench, *, in_progress: bool) -> None:
    release, entered, calls = asyncio.Event(), asyncio.Event(), 0

    async def handler(request: Request) -> Answer:
        nonlocal calls
        if request.payload == b"alive":
            return Answer(Code.CONTENT, request.payload)
        calls += 1
        entered.set()
        await release.wait()
        return Answer(Code.CHANGED, b"%d" % calls)

    peer = await bench.raw(handler)
    message = bench.coap(bench.CON, POST, 9, b"t", bench.encoded_path)
    peer.send(message)
    await entered.wait()
    if in_progress:
        peer.send(message)
        await still_answers(bench, peer)
        release.set()
        assert (await receive(peer)).payload == b"1"
    else:
        release.set()
        first = await peer.receive()
        peer.send(message)
        assert await peer.receive() == first
    assert calls == 1


async def test_a_non_confirmable_sent_twice_is_handled_and_answered_once(bench: Bench) -> None:
    calls = 0

    async def handler(request: Request) -> Answer:
        nonlocal calls
        calls += request.payload == b"once"
        return Answer(Code.CONTENT, request.payload)

    peer = await bench.raw(handler)
    peer.send(*[bench.coap(bench.NON, POST, 9, b"t", bench.encoded_path, b"once")] * 3)
    answer = await receive(peer)
    assert (answer.mtype, answer.token) == (bench.NON, b"t")
    await still_answers(bench, peer)
    assert calls == 1


async def test_a_ping_is_answered(tcp_bench: Bench) -> None:
    peer = await tcp_bench.raw()
    peer.send(tcp_bench.coap(tcp_bench.CON, 0, 77))
    pong = await receive(peer)
    assert (pong.mtype, pong.code, pong.mid) == (tcp_bench.RST, 0, 77)


async def test_what_is_no_coap_in_a_good_frame_is_ignored_and_said_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await bench.raw()
    with caplog.at_level(logging.INFO, "transport"):
        peer.send(b"\x00\x00\x00\x00", b"\xff" * 40, b"\x40\x01\x00\x01\xb5ab", b"GET /")
        await still_answers(bench, peer)
    assert len([r for r in caplog.records if "not CoAP" in r.getMessage()]) == 1


async def test_a_request_with_an_unknown_critical_option_is_told_so_and_nothing_is_done(
    tcp_bench: Bench,
) -> None:
    """RFC 7252, 5.4.1: whoever asks is answered, and does not wait; what is no confirmable request is dropped."""
    served: list[tuple[str, ...]] = []

    async def handler(request: Request) -> Answer:
        served.append(request.path)
        return Answer(Code.CONTENT, request.payload)

    bench = tcp_bench
    peer = await bench.raw(handler)
    unknown = b"\xb1a" + b"\xd1\x0bx"  # Uri-Path, then 35
    peer.send(bench.coap(bench.NON, GET, 6, b"n", unknown))
    peer.send(bench.coap(bench.CON, Code.CONTENT, 7, b"r", unknown))
    peer.send(bench.coap(bench.CON, GET, 8, b"token", unknown))
    told = await receive(peer)
    assert (told.mtype, told.code, told.mid, told.token) == (
        bench.ACK, 0x82, 8, b"token",
    )  # fmt: skip
    assert told.payload == b"critical option 35 is unknown or too long"
    await still_answers(bench, peer)
    assert ("a",) not in served


async def test_a_bad_magic_ends_the_connection_and_what_waits_on_it(bench: Bench) -> None:
    peer = await bench.raw()
    pending = asyncio.create_task(
        peer.endpoint.request(peer.connection, "GET", ("x",), deadline=DEADLINE)
    )
    await peer.receive()
    peer.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    reason = "bad magic: got 0x48545450, expected 0xbeefdead"
    assert await peer.ended() == reason
    with pytest.raises(StreamClosedError, match=reason):
        await pending
    with pytest.raises(StreamClosedError):
        await peer.endpoint.request(peer.connection, "GET", ("x",), deadline=DEADLINE)


async def test_messages_before_the_fault_are_delivered(tcp_bench: Bench) -> None:
    """An answer before the fault ends its request; the fault then ends the connection."""
    bench, peer = tcp_bench, await tcp_bench.raw()
    pending = asyncio.create_task(
        peer.endpoint.request(peer.connection, "GET", ("x",), deadline=DEADLINE)
    )
    asked = await receive(peer)
    answer = bench.coap(bench.ACK, Code.CONTENT, asked.mid, asked.token, b"", b"in time")
    peer.writer.write(encode_frame(answer) + b"\xbe\xef\xde\xad\x00\x00\x00\x03")
    assert await peer.ended() == "frame length: got 3 bytes, expected 4 to 16384"
    assert await pending == Answer(Code.CONTENT, b"in time")


async def test_the_callers_limit_on_length_is_kept(tcp_bench: Bench) -> None:
    peer = await tcp_bench.raw(max_length=2048)
    peer.send(bytes(2049))
    assert "got 2049 bytes, expected 4 to 2048" in await peer.ended()


async def test_a_reset_is_a_rejection_and_late_ones_are_nothing(bench: Bench) -> None:
    peer = await bench.raw()

    async def ask(deadline: float) -> None:
        await peer.endpoint.request(peer.connection, "GET", ("x",), deadline=deadline)

    pending = asyncio.create_task(ask(DEADLINE))
    peer.send(bench.coap(bench.RST, 0, (await receive(peer)).mid))
    with pytest.raises(RequestRejectedError, match="reset"):
        await pending
    with pytest.raises(RequestTimeoutError):
        await ask(0.01)
    asked = await receive(peer)
    peer.send(bench.coap(bench.RST, 0, asked.mid))
    await still_answers(bench, peer)


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("ends", [True, False])
async def test_an_answer_in_the_moment_of_giving_up_is_late_and_no_more(
    tcp_bench: Bench, turns: int, *, ends: bool
) -> None:
    """Giving up goes through aiocoap in some turns of the loop; the answer comes in each of them."""
    peer = await tcp_bench.raw()
    pending = asyncio.create_task(
        peer.endpoint.request(peer.connection, "GET", ("x",), deadline=DEADLINE)
    )
    asked = await receive(peer)
    answer = tcp_bench.coap(tcp_bench.NON, Code.CONTENT, 1, asked.token)
    pending.cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    if ends:
        peer.endpoint._interface.forget(peer.connection, "cut")
    else:
        peer.endpoint._interface._dispatch(peer.connection, answer)
        await still_answers(tcp_bench, peer)
    with pytest.raises(asyncio.CancelledError):
        await pending


async def test_a_request_never_acknowledged_does_not_hold_back_the_next(bench: Bench) -> None:
    """2017 firmware may answer with a separate message and no ACK."""
    peer = await bench.raw()
    for n in range(3):
        pending = asyncio.create_task(
            peer.endpoint.request(peer.connection, "GET", ("x",), deadline=DEADLINE)
        )
        asked = await receive(peer)
        peer.send(bench.coap(bench.NON, Code.CONTENT, n, asked.token, b"", b"%d" % n))
        assert await pending == Answer(Code.CONTENT, b"%d" % n)


async def test_more_requests_than_handlers_are_answered_503(bench: Bench) -> None:
    release = asyncio.Event()

    async def handler(request: Request) -> Answer:
        if request.payload != b"alive":
            await release.wait()
        return Answer(Code.CONTENT, request.payload)

    peer = await bench.raw(handler)
    extra = 10
    for mid in range(MAX_SERVING + extra):
        peer.send(bench.coap(bench.NON, GET, mid, mid.to_bytes(2, "big"), bench.encoded_path, b"x"))
    refused = [await receive(peer) for _ in range(extra)]
    assert {answer.code for answer in refused} == {Code.SERVICE_UNAVAILABLE}
    assert [int.from_bytes(a.token, "big") for a in refused] == list(
        range(MAX_SERVING, MAX_SERVING + extra)
    )
    release.set()
    assert {(await receive(peer)).code for _ in range(MAX_SERVING)} == {Code.CONTENT}
    await still_answers(bench, peer)


def arbitrary(bench: Bench, source: random.Random, asked: Message) -> bytes:
    """Make an almost valid message, so that it passes the decoder."""
    number = source.choice([3, 4, 6, 11, 12, 15, 17, 23, 27, 28, 60, 258])
    options = bench.option(number, source.randbytes(source.randint(0, 4)))
    return bench.coap(
        source.randint(0, 3),
        source.choice([0, 1, 2, 3, 9, 31, 0x41, 0x45, 0x5F, 0x80, 0xA0]),
        source.choice([min(asked.mid, LAST_ID - 1), source.randrange(LAST_ID)]),
        source.choice([b"", b"ab", asked.token]),
        options if source.random() < 0.8 else source.randbytes(8),
        source.choice([b"", b"p", bytes(1024)]),
    )


async def test_arbitrary_messages_leave_the_connection_serving(
    tcp_bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    source = random.Random(7)
    peer = await tcp_bench.raw()
    with caplog.at_level(logging.CRITICAL, "coap"):
        for _ in range(40):
            pending = asyncio.create_task(
                peer.endpoint.request(peer.connection, "POST", ("x",), bytes(3000), deadline=0.1)
            )
            while (asked := await receive(peer)).code != POST:
                pass  # answers to earlier messages
            peer.send(*(arbitrary(tcp_bench, source, asked) for _ in range(80)))
            peer.send(tcp_bench.coap(tcp_bench.NON, 0x45, 1, asked.token))
            outcome = (await asyncio.gather(pending, return_exceptions=True))[0]
            assert isinstance(outcome, Answer | RequestRejectedError | RequestTimeoutError)
        await still_answers(tcp_bench, peer, LAST_ID)
    assert not peer.end.done()
    assert [r.getMessage() for r in caplog.records if r.name == "asyncio"] == []
