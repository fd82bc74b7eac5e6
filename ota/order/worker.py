"""Blocking work beside the event loop, which a cancelled update leaves within a stated time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ota.errors import CancelledOrderError

T = TypeVar("T")

# What a worker gets to finish after it is asked to stop. One that hangs in a socket is then left to
# its read timeout: the agent must be gone within 5 s. It writes nothing more, as it checks before.
STOP_GRACE = 2.0


async def run_blocking(work: Callable[[threading.Event], T]) -> T:
    """Run ``work`` in a thread of its own and return what it returns, or raise what it raises.

    ``work`` gets an event and must give up soon after it is set. The thread is a daemon, and not
    one of the loop's pool, because those are waited for without a limit at exit.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    stop = threading.Event()

    def deliver(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]  # None only when T is None
        else:
            done.set_exception(error)

    def body() -> None:
        result, error = None, None
        try:
            result = work(stop)
        except BaseException as caught:  # noqa: BLE001  # handed to the caller, whatever it is
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, result, error)

    threading.Thread(target=body, name="ota-worker", daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([done], timeout=STOP_GRACE)
        if done.done() and not done.cancelled():
            done.exception()  # seen: the cancellation is what the caller hears of
        raise


class Interruptible:
    """The blocking work of one order, which `cancel` ends for good."""

    def __init__(self) -> None:
        """Start with nothing under way."""
        self._job: asyncio.Future[Any] | None = None
        self._reason: CancelledOrderError | None = None
        self._over = asyncio.Event()

    def cancel(self, reason: CancelledOrderError) -> None:
        """Let what runs, and every later `run` and `check`, raise ``reason``."""
        self._reason = reason
        if self._job is not None:
            self._job.cancel()

    def check(self) -> None:
        """Raise the reason of a `cancel`, if there was one."""
        if self._reason is not None:
            raise self._reason

    def end(self) -> None:
        """Say that the order is over, whatever became of it."""
        self._over.set()

    async def wait_until_over(self, seconds: float) -> bool:
        """Wait for `end`; False when it did not come within ``seconds``."""
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
        """Run ``work`` as `run_blocking` does, with ``tick`` once an ``interval`` (seconds) beside it.

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
            if not job.done():  # the caller is cancelled: the agent ends
                job.cancel()
                await asyncio.wait([job], timeout=STOP_GRACE + 1.0)
        if job.cancelled():
            self.check()
        return await job
