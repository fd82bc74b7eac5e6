"""A watch on a quiet peer, on a moved clock: when it asks, what it takes for an answer, and when it stops."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.moved_clock import on_moved_clock
from transport.liveness import Watch, probe_by_system


class Quiet:
    """A connection on which nothing comes but what the test says: no real one is silent to the second."""

    def __init__(self) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        self.asked: list[float] = []
        self.is_closing = False
        self.reasons: list[str] = []

    def send(self, message: bytes) -> None:
        assert message == b"\x40\x00\x00\x07"
        self.asked.append(asyncio.get_running_loop().time() - 1000)

    def reset(self, reason: str) -> None:
        self.is_closing = True
        self.reasons.append(reason)

    def hear(self) -> None:
        self.heard_at = asyncio.get_running_loop().time()


def watched() -> tuple[Quiet, Watch]:
    made: Any = Quiet()
    return made, Watch(made, lambda: 7, quiet=20, patience=7)


@on_moved_clock
async def test_what_comes_puts_the_question_off() -> None:
    connection, _watch = watched()
    await asyncio.sleep(15)
    connection.hear()
    await asyncio.sleep(19)
    assert connection.asked == []
    await asyncio.sleep(2)
    assert connection.asked == [35]


@on_moved_clock
async def test_an_answer_at_the_last_moment_counts() -> None:
    """It may have come while this process was stopped: the timers that are due run first."""
    connection, _watch = watched()
    await asyncio.sleep(27.25)  # between the end of the patience and of the grace
    connection.hear()
    await asyncio.sleep(10)
    assert (connection.reasons, connection.asked) == ([], [20])
    await asyncio.sleep(25)
    assert connection.asked == [20, 47.25]
    assert connection.reasons == ["silent for 28 s, and does not answer a ping"]


@on_moved_clock
async def test_a_connection_that_closes_is_neither_asked_nor_dropped() -> None:
    for seconds in (10, 27.25):  # before the question, and before the end
        connection, _watch = watched()
        await asyncio.sleep(seconds)
        connection.is_closing = True
        await asyncio.sleep(100)
        assert len(connection.asked) == (seconds > 20)
        assert connection.reasons == []


def test_a_stream_without_a_socket_is_not_probed() -> None:
    probe_by_system(None)
