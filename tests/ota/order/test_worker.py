"""Blocking work ends in time when the update is cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ota.order import worker
from ota.order.worker import Interruptible, run_blocking


async def test_results_and_errors_come_back() -> None:
    assert await run_blocking(lambda _stop: 5) == 5
    with pytest.raises(ValueError, match="x"):
        await run_blocking(lambda _stop: int("x"))


async def test_cancelling_asks_the_work_to_stop_and_waits_for_it() -> None:
    began, ended = threading.Event(), threading.Event()

    def work(stop: threading.Event) -> None:
        began.set()
        stop.wait(20)
        ended.set()

    task = asyncio.create_task(run_blocking(work))
    await asyncio.to_thread(began.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_work_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "STOP_GRACE", 0.01)
    began, release = threading.Event(), threading.Event()

    def work(_stop: threading.Event) -> None:
        began.set()
        release.wait(20)

    task = asyncio.create_task(run_blocking(work))
    await asyncio.to_thread(began.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not release.is_set()
    release.set()


async def test_without_a_tick_the_work_is_waited_for_all_the_same() -> None:
    release = threading.Event()
    asyncio.get_running_loop().call_later(0.01, release.set)
    assert await Interruptible().run(lambda _stop: release.wait(20), interval=0.001)
