"""Run blocking work in a thread, so that a cancelled update returns within a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ota.errors import CancelledOrderError

T = TypeVar("T")

# Seconds that a worker gets to finish after it is asked to stop: the agent must exit within 5 s. A
# worker blocked in a socket is left to its read timeout; it checks for a stop before it writes.
STOP_GRACE = 2.0


async def run_blocking(work: Callable[[threading.Event], T]) -> T:
    """Run ``work`` in its own thread; return its result or raise its exception.

    ``work`` receives an event and must return soon after it is set. The thread is a daemon rather
    than one of the loop's executor threads, which are joined without a time limit at exit.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    stop = threading.Event()

    def deliver(result: T | None, error: BaseException | None) -> None:
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]  # None only when T is None
        else:
            done.set_exception(error)

    def body() -> None:
        result, error = None, None
        try:
            result = work(stop)
        except BaseException as caught:  # noqa: BLE001  # re-raised in the caller
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is already closed
            loop.call_soon_threadsafe(deliver, result, error)

    threading.Thread(target=body, name="ota-worker", daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([done], timeout=STOP_GRACE)
        if done.done():
            done.exception()  # mark it as retrieved: the caller gets the cancellation instead
        raise


class Interruptible:
    """The blocking work of one order; `cancel` stops it permanently."""

    def __init__(self) -> None:
        self._job: asyncio.Future[Any] | None = None
        self._reason: CancelledOrderError | None = None
        self._over = asyncio.Event()

    def cancel(self, reason: CancelledOrderError) -> None:
        """Make the current work, and every later `run` and `check`, raise ``reason``."""
        self._reason = reason
        if self._job is not None:
            self._job.cancel()

    def check(self) -> None:
        """Raise the reason given to `cancel`, if it was called."""
        if self._reason is not None:
            raise self._reason

    def end(self) -> None:
        """Mark the order as over, whether it succeeded or failed."""
        self._over.set()

    async def wait_until_over(self, seconds: float) -> bool:
        """Wait for `end`; return False if it is not called within ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
        return self._over.is_set()

    async def run(
        self,
        work: Callable[[threading.Event], T],
        tick: Callable[[], Awaitable[None]] | None = None,
        interval: float | None = None,
    ) -> T:
        """Run ``work`` as `run_blocking` does; meanwhile call ``tick`` every ``interval`` seconds.

        Raises:
            CancelledOrderError: `cancel` was called.
        """
        self.check()
        job: asyncio.Future[T] = asyncio.ensure_future(run_blocking(work))
        self._job = job
        try:
            while not (await asyncio.wait([job], timeout=interval))[0]:
                if tick is not None:
                    await tick()
        finally:
            self._job = None
            if not job.done():  # the caller was cancelled: the agent is shutting down
                job.cancel()
                await asyncio.wait([job], timeout=STOP_GRACE + 1.0)
        if job.cancelled():
            self.check()
        return await job
