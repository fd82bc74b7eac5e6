"""Two endpoints on one connection: both send requests and answers, of any size and at any rate."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import TYPE_CHECKING

import pytest

from transport import framed
from transport.connection import Connection
from transport.errors import NotSentError, RequestTimeoutError, StreamClosedError
from wire.codes import Code
from wire.exchange import Answer, Handler, Request, Terms
from wire.framing import FrameLengthError, encode_frame

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
MESSAGES_A_TURN = 4


if TYPE_CHECKING:
    from tests.transport.conftest import Bench

DEADLINE = 60.0
BIG = bytes(range(256)) * 20


async def test_both_ends_ask_on_one_connection(bench: Bench) -> None:
    seen: list[tuple[str, Request]] = []

    def handler(end: str) -> Handler:
        async def handle(request: Request) -> Answer:
            seen.append((end, request))
            return Answer(Code.CHANGED, b"done")

        return handle

    pair = await bench.pair(handler("client"), handler("server"))
    up = await pair.client.request(
        pair.to_server, "POST", ("v1", "数据"), b"{}", query=("a=1", "b=="), deadline=DEADLINE
    )
    down = await pair.server.request(pair.to_client, "PUT", ("volume",), b"7", deadline=DEADLINE)
    assert (up, down) == (Answer(0x44, b"done"), Answer(0x44, b"done"))
    assert seen == [
        ("server", Request("POST", ("v1", "数据"), ("a=1", "b=="), b"{}")),
        ("client", Request("PUT", ("volume",), (), b"7")),
    ]


@pytest.mark.parametrize("again", [None, 0, 10, 2**32 - 1])
async def test_a_refusal_for_now_says_when_to_ask_again(bench: Bench, again: int | None) -> None:
    async def refuse(_request: Request) -> Answer:
        return Answer(Code.SERVICE_UNAVAILABLE, b"full", again)

    pair = await bench.pair(refuse, refuse)
    told = await pair.client.request(pair.to_server, "POST", ("v1",), b"{}", deadline=DEADLINE)
    assert told == Answer(Code.SERVICE_UNAVAILABLE, b"full", again)


async def test_one_endpoint_gives_each_connections_requests_to_its_own_handler(
    tcp_bench: Bench,
) -> None:
    endpoint, clients = await tcp_bench.endpoint(), await tcp_bench.endpoint()
    ends: list[Connection] = []
    for name in (b"first", b"second"):

        async def handle(_request: Request, name: bytes = name) -> Answer:
            return Answer(Code.CONTENT, name)

        reader, writer, served = await tcp_bench.streams()
        ends.append(Connection(reader, writer))
        tcp_bench.serve(endpoint, served, handle)
        tcp_bench.serve(clients, ends[-1], handle)
    await asyncio.sleep(0)
    answers = [await clients.request(end, "GET", ("x",), deadline=DEADLINE) for end in ends]
    assert [answer.payload for answer in answers] == [b"first", b"second"]


@pytest.mark.parametrize("confirmable", [True, False])
async def test_five_kilobytes_go_both_ways_in_blocks(bench: Bench, *, confirmable: bool) -> None:
    pair = await bench.pair()
    for endpoint, connection in ((pair.client, pair.to_server), (pair.server, pair.to_client)):
        reply = await endpoint.request(
            connection, "POST", ("big",), BIG, deadline=DEADLINE, confirmable=confirmable
        )
        assert reply == Answer(Code.CONTENT, BIG)


async def test_fifty_requests_at_once_each_way(bench: Bench) -> None:
    pair = await bench.pair()
    replies = await asyncio.gather(
        *(
            endpoint.request(connection, "POST", ("n",), b"%d" % n, deadline=DEADLINE)
            for n in range(50)
            for endpoint, connection in (
                (pair.client, pair.to_server),
                (pair.server, pair.to_client),
            )
        )
    )
    assert [int(reply.payload) for reply in replies] == [n for n in range(50) for _ in range(2)]


async def test_slow_answers_do_not_hold_back_the_others(tcp_bench: Bench) -> None:
    """Fifty handlers wait for each other: with NSTART 1 the first would wait for ever."""
    arrived = 0
    all_there = asyncio.Event()

    async def handler(request: Request) -> Answer:
        nonlocal arrived
        arrived += 1
        if arrived == 50:
            all_there.set()
        await all_there.wait()
        return Answer(Code.CONTENT, request.payload)

    pair = await tcp_bench.pair(on_server=handler)
    replies = await asyncio.gather(
        *(
            pair.client.request(pair.to_server, "PUT", ("n",), b"%d" % n, deadline=DEADLINE)
            for n in range(50)
        )
    )
    assert [int(reply.payload) for reply in replies] == list(range(50))


async def test_any_code_comes_through(tcp_bench: Bench) -> None:
    async def handler(request: Request) -> Answer:
        return Answer(int(request.payload))

    pair = await tcp_bench.pair(on_server=handler)
    for code in [*Code, 0x9D, 0xA8]:
        reply = await pair.client.request(
            pair.to_server, "PUT", ("x",), b"%d" % code, deadline=DEADLINE
        )
        assert reply == Answer(code)


async def test_a_handler_that_raises_answers_500_and_the_connection_lives(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: Request) -> Answer:
        if request.path == ("bad",):
            raise RuntimeError("the reason is ours alone")
        return Answer(Code.CONTENT)

    pair = await bench.pair(on_server=handler)
    with caplog.at_level(logging.CRITICAL, "coap"):  # aiocoap logs it
        bad = await pair.client.request(pair.to_server, "GET", ("bad",), deadline=DEADLINE)
    assert bad == Answer(Code.INTERNAL_SERVER_ERROR, b"")
    good = await pair.client.request(pair.to_server, "GET", ("good",), deadline=DEADLINE)
    assert good == Answer(Code.CONTENT)


@pytest.mark.parametrize("confirmable", [True, False])
async def test_the_deadline_ends_a_request(bench: Bench, *, confirmable: bool) -> None:
    release = asyncio.Event()

    async def handler(request: Request) -> Answer:
        if request.path == ("slow",):
            await release.wait()
        return Answer(Code.CONTENT, b"late" if request.path == ("slow",) else b"prompt")

    pair = await bench.pair(on_server=handler)
    with pytest.raises(RequestTimeoutError, match=r"no answer within 0\.05 s"):
        await pair.client.request(
            pair.to_server, "GET", ("slow",), deadline=0.05, confirmable=confirmable
        )
    release.set()  # no request waits for the late answer
    reply = await pair.client.request(pair.to_server, "GET", ("x",), deadline=DEADLINE)
    assert reply.payload == b"prompt"


async def test_a_path_too_long_for_a_message_is_our_own_error(tcp_bench: Bench) -> None:
    pair = await tcp_bench.pair()
    with pytest.raises(FrameLengthError):
        await pair.client.request(
            pair.to_server, "GET", ("x",), query=("q" * 250,) * 80, deadline=DEADLINE
        )


async def test_a_request_on_a_closed_connection_fails_at_once(bench: Bench) -> None:
    pair = await bench.pair()
    pair.to_server.close("done for today")
    assert await pair.client_end == "done for today"
    assert await pair.server_end == "closed by the other side"
    with pytest.raises(StreamClosedError, match="done for today"):
        await pair.client.request(pair.to_server, "GET", ("x",), deadline=DEADLINE)


async def test_shutdown_fails_what_waits_and_leaves_no_task(bench: Bench) -> None:
    entered: asyncio.Queue[None] = asyncio.Queue()
    cancelled = 0

    async def handler(request: Request) -> Answer:
        nonlocal cancelled
        del request
        entered.put_nowait(None)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return Answer(Code.CONTENT)

    before = asyncio.all_tasks()
    pair = await bench.pair(handler, handler)
    pending = [
        asyncio.create_task(endpoint.request(connection, "GET", ("x",), deadline=DEADLINE))
        for endpoint, connection in ((pair.client, pair.to_server), (pair.server, pair.to_client))
        for _ in range(5)
    ]
    for _ in pending:
        await entered.get()
    await pair.server.shutdown()
    assert cancelled >= 5
    outcomes = await asyncio.gather(*pending, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StreamClosedError}
    assert await pair.server_end == "the endpoint shut down"
    assert await pair.client_end == "closed by the other side"
    await pair.client.shutdown()
    assert cancelled == 10
    await bench.until(lambda: asyncio.all_tasks() <= before)


async def test_a_closed_connection_is_not_kept_alive(bench: Bench) -> None:
    """Devices reconnect for ever; aiocoap alone would keep each stream for minutes."""
    release = asyncio.Event()

    async def handler(request: Request) -> Answer:
        if request.path == ("never",):
            await release.wait()
        return Answer(Code.CONTENT, BIG)

    async def live() -> weakref.ref[object]:
        pair = await bench.pair(handler, handler)
        await pair.client.request(pair.to_server, "POST", ("big",), BIG, deadline=DEADLINE)
        with pytest.raises(RequestTimeoutError):
            await pair.client.request(pair.to_server, "GET", ("never",), deadline=0.01)
        await pair.server.request(pair.to_client, "GET", ("x",), deadline=DEADLINE)
        pair.to_server.close("the device restarts")
        await asyncio.gather(pair.client_end, pair.server_end)
        return weakref.ref(pair.to_client)

    ghost = await live()

    def is_gone() -> bool:
        gc.collect()
        return ghost() is None

    await bench.until(is_gone)


class _Pinging:
    """A connection from which forty pings come in one read."""

    tap = None
    close_reason: str | None = None
    heard_at = 0.0

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.reader.feed_data(encode_frame(bytes((0x40, 0, 0, 1))) * 40)
        self.reader.feed_eof()
        self.sent: list[bytes] = []

    def send(self, message: bytes) -> None:
        self.sent.append(message)


async def test_who_sends_much_at_once_does_not_take_the_others_turn() -> None:
    connection = _Pinging()
    seen: list[int] = []

    async def other() -> None:
        while len(connection.sent) < 40:
            seen.append(len(connection.sent))
            await asyncio.sleep(0)

    watching = asyncio.create_task(other())
    interface = framed._FramedInterface(None)
    await interface.read(connection, None, 1000)  # type: ignore[arg-type]
    await watching
    assert seen == list(range(MESSAGES_A_TURN, 40, MESSAGES_A_TURN))


async def test_what_came_before_a_connection_was_closed_is_left_when_it_is_closed_meanwhile() -> (
    None
):
    connection = _Pinging()

    async def close() -> None:
        connection.close_reason = "another machine uses this identity"

    closing = asyncio.create_task(close())
    interface = framed._FramedInterface(None)
    reason = await interface.read(connection, None, 1000)  # type: ignore[arg-type]
    await closing
    assert reason == "another machine uses this identity"
    assert len(connection.sent) == MESSAGES_A_TURN


async def test_a_deadline_and_an_id_reach_the_other_side(tcp_bench: Bench) -> None:
    asked: list[Request] = []

    async def handler(request: Request) -> Answer:
        asked.append(request)
        return Answer(Code.CHANGED)

    pair = await tcp_bench.pair(on_server=handler)
    terms = Terms(1_800_000_000_000, b"12345678")
    answer = await pair.client.request(
        pair.to_server, "PUT", ("volume",), b"5", deadline=DEADLINE, terms=terms
    )
    assert answer.code == Code.CHANGED
    assert [(each.until_ms, each.id) for each in asked] == [(terms.until_ms, terms.id)]


async def test_a_connection_that_is_not_served_is_not_sent_on(tcp_bench: Bench) -> None:
    """As in the moment between its end and its close."""
    endpoint = await tcp_bench.endpoint()
    reader, writer, _ = await tcp_bench.streams()
    connection = Connection(reader, writer)
    with pytest.raises(NotSentError, match="the connection is closed"):
        await endpoint.request(connection, "GET", ("x",), deadline=DEADLINE)
    connection.abort()


async def test_a_connection_that_was_cut_before_it_is_served_has_ended(bench: Bench) -> None:
    """As between its handshake and the first turn of its task: its socket is closed by then."""
    endpoint = await bench.endpoint()
    reader, writer, _ = await bench.streams()
    connection = Connection(reader, writer)
    assert connection.handle is not None
    connection.abort()
    await bench.until(lambda: connection.handle is None or connection.handle.fileno() < 0)

    async def handler(request: Request) -> Answer:
        raise AssertionError(request)

    assert "closed" in await endpoint.serve(connection, handler)


async def test_a_message_that_comes_behind_the_shutdown_is_left(tcp_bench: Bench) -> None:
    peer = await tcp_bench.raw()
    interface = peer.endpoint._interface
    await peer.endpoint.shutdown()
    interface._dispatch(peer.connection, tcp_bench.coap(tcp_bench.CON, 1, 7, b"t"))
    assert await peer.ended() == "the endpoint shut down"


async def test_a_shutdown_waits_for_handlers_that_tidy_up(tcp_bench: Bench) -> None:
    begun, tidied = asyncio.Event(), list[bool]()

    async def handler(_request: Request) -> Answer:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _turn in range(20):
                await asyncio.sleep(0)
            tidied.append(True)
        raise AssertionError

    peer = await tcp_bench.raw(handler)
    peer.send(tcp_bench.coap(tcp_bench.CON, 1, 7, b"t"))
    await begun.wait()
    await peer.endpoint.shutdown()
    assert tidied == [True]
