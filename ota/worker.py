"""Blocking work beside the event loop, which a cancelled update leaves within a stated time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

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
