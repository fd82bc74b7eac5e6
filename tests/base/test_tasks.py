"""Work that is not left half done, and cancellations that are not lost over it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from base.tasks import ended, finished


async def test_what_it_returns_and_raises_is_handed_on() -> None:
    async def work(number: int) -> int:
        return 10 // number

    assert await finished(work(5)) == 2
    with pytest.raises(ZeroDivisionError):
        await finished(work(0))


async def test_an_error_that_nobody_waits_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        raise OSError(28, "No space left on device")

    calling = asyncio.create_task(finished(work()))
    await begun.wait()
    calling.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with caplog.at_level(logging.ERROR, "base.tasks"):
        await asyncio.wait([calling])
    assert calling.cancelled()
    assert caplog.messages == [
        "not done, and no longer waited for: [Errno 28] No space left on device"
    ]


@pytest.mark.parametrize("fault", [None, OSError("the server has gone")])
async def test_ended_is_ended_whatever_it_raises(fault: OSError | None) -> None:
    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            if fault is not None:
                raise fault

    task = asyncio.create_task(forever())
    await asyncio.sleep(0)
    await ended(task)
    assert task.done()
    await ended(task)  # once more is nothing


async def test_a_cancellation_that_comes_while_a_task_ends_is_not_lost() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            begun.set()
            await go_on.wait()

    task = asyncio.create_task(slow_to_end())
    await asyncio.sleep(0)
    ending = asyncio.create_task(ended(task))
    await begun.wait()
    ending.cancel()
    await asyncio.sleep(0)
    assert not ending.done()
    go_on.set()
    await asyncio.wait([ending])
    assert (task.cancelled(), ending.cancelled()) == (True, True)
