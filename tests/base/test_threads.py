"""Work in a thread that a cancellation does not leave behind."""

from __future__ import annotations

import asyncio
import threading

import pytest

from base.threads import in_thread

DEADLINE = 20.0


class Gate:
    """Work that says when it has begun, and ends when it may."""

    def __init__(self, error: OSError | None = None) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.error = error
        self.ended = False

    def work(self, told: str = "") -> str:
        self.begun.set()
        assert self.go_on.wait(DEADLINE)
        self.ended = True
        if self.error is not None:
            raise self.error
        return told

    async def start(self) -> asyncio.Task[str]:
        running = asyncio.create_task(in_thread(self.work, told="a"))
        assert await asyncio.to_thread(self.begun.wait, DEADLINE)
        return running


async def test_what_the_work_returns_or_raises_comes() -> None:
    gate = Gate()
    gate.go_on.set()
    assert await in_thread(gate.work, "a") == "a"
    with pytest.raises(OSError, match="full"):
        await in_thread(Gate.work, _opened(Gate(OSError("full"))))


@pytest.mark.parametrize("times", [1, 3])
async def test_one_that_is_cancelled_ends_after_its_work(times: int) -> None:
    gate = Gate()
    running = await gate.start()
    for _ in range(times):
        running.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not running.done()
    gate.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert gate.ended


async def test_what_fails_after_the_cancellation_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = Gate(OSError("no space"))
    running = await gate.start()
    running.cancel()
    gate.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert caplog.messages == ["not done, and no longer waited for: no space"]


def _opened(gate: Gate) -> Gate:
    gate.go_on.set()
    return gate
