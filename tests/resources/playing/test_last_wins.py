"""The last order wins, whatever the older one waits for."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref

import pytest

from resources.playing.last_wins import GivenUpError, LastWins


async def test_the_work_of_an_older_order_ends_when_a_newer_one_is_taken() -> None:
    wins = LastWins()
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    first = wins.begin()
    waiting = asyncio.create_task(wins.unless_newer(first, work()))
    await asyncio.sleep(0)
    wins.begin()
    await asyncio.sleep(0)
    assert not waiting.done()  # a newer one that is not taken leaves it
    wins.take(wins.newest)
    with pytest.raises(GivenUpError):
        await waiting
    assert ended.is_set()


async def test_an_older_order_can_be_taken_no_more() -> None:
    wins = LastWins()
    first, second = wins.begin(), wins.begin()
    wins.take(second)
    with pytest.raises(GivenUpError):
        wins.take(first)

    async def work() -> int:
        return 1

    with pytest.raises(GivenUpError):
        await wins.unless_newer(first, work())
    assert await wins.unless_newer(second, work()) == 1


async def test_an_error_of_the_work_is_its_own() -> None:
    async def work() -> None:
        raise KeyError("x")

    wins = LastWins()
    with pytest.raises(KeyError):
        await wins.unless_newer(wins.begin(), work())


async def test_whoever_gives_up_waiting_ends_the_work() -> None:
    wins = LastWins()
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(wins.unless_newer(wins.begin(), work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(ended.wait(), 10)


class Large:
    """Stands for the two megabytes of a list that was refused."""


async def test_what_failed_work_has_read_is_let_go_at_once() -> None:
    """Not only when Python looks for what refers to itself, which may be many orders later."""
    seen: list[weakref.ref[Large]] = []

    async def work() -> None:
        read = Large()
        seen.append(weakref.ref(read))
        raise KeyError("x")

    wins = LastWins()
    gc.disable()
    try:
        with contextlib.suppress(KeyError):
            await wins.unless_newer(wins.begin(), work())
        assert seen[0]() is None
    finally:
        gc.enable()
