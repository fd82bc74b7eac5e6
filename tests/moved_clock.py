"""An event loop whose clock stands while there is work, and jumps to the next timer when there is none.

Deadlines of minutes and hours are met in milliseconds, with real sockets on loopback and real threads: the clock waits
for what is on its way. A test of silence has both ends in its own process, so that nothing comes later.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

import pytest

_T = TypeVar("_T")

# Seconds of real time that loopback has to deliver before the clock jumps.
_ON_ITS_WAY = 0.01
# Seconds of real time after which a thread's work counts as hung.
_PATIENCE = 60.0


class _Selector(selectors.DefaultSelector):
    """Waits for sockets and threads in real time, and for timers in none."""

    loop: MovedLoop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if events := super().select(self.loop.on_its_way):
            return events
        if self.loop.in_threads or timeout is None or _orders_run():
            events = super().select(_PATIENCE)
            if not events and timeout is None:
                raise RuntimeError("nothing is awaited that could come")
            return events
        self.loop.moved += timeout
        return []


class MovedLoop(asyncio.SelectorEventLoop):
    """`time` returns seconds from 1000 on, which pass by jumps."""

    def __init__(self, on_its_way: float = _ON_ITS_WAY) -> None:
        """Stand at 1000 s; ``on_its_way``: seconds of real time before each jump, 0 where no socket is real."""
        self.moved, self.on_its_way = 1000.0, on_its_way
        self.in_threads = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Return the seconds of the moved clock."""
        return self.moved

    def run_in_executor(  # type: ignore[override]  # typeshed's has a variable number of types
        self, executor: Executor | None, func: Callable[..., _T], *args: Any
    ) -> asyncio.Future[_T]:
        """Run it in a thread; the clock stands until it is done."""
        self.in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._note_done)
        return future

    def wrap_future(self, future: concurrent.futures.Future[_T]) -> asyncio.Future[_T]:
        """Wait for what a thread of the program's own does, as the store's writer; the clock stands until it is done."""
        self.in_threads += 1
        wrapped = asyncio.futures.wrap_future(future, loop=self)
        wrapped.add_done_callback(self._note_done)
        return wrapped

    def _note_done(self, _future: asyncio.Future[Any]) -> None:
        self.in_threads -= 1


def _orders_run() -> bool:
    """Return whether an order's work runs, which has a thread of its own (`ota.order.worker`)."""
    return any(thread.name == "ota-worker" for thread in threading.enumerate())


def on_moved_clock(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test that is a coroutine on a `MovedLoop`, which `time.monotonic` follows."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        with (
            pytest.MonkeyPatch.context() as patch,
            asyncio.Runner(loop_factory=MovedLoop) as runner,
        ):
            loop = runner.get_loop()
            assert isinstance(loop, MovedLoop)
            patch.setattr(time, "monotonic", loop.time)
            patch.setattr(asyncio, "wrap_future", loop.wrap_future)
            runner.run(test(**fixtures))

    return run


class Since:
    """Seconds of the moved clock since it was made."""

    def __init__(self) -> None:
        """Begin to count."""
        self._began = asyncio.get_running_loop().time()

    @property
    def seconds(self) -> float:
        """What has passed."""
        return asyncio.get_running_loop().time() - self._began
