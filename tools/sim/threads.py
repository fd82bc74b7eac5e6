"""Threads that run one at a time: each goes on until it would wait, and waits on the virtual clock.

The locks of `threading` are replaced, and with them all that is built of them: events, conditions, queues.
A thread that cannot have a lock gives the turn back to the event loop; the loop gives it on when the lock
is free, or when its time is over. Which thread runs when is so a matter of the seed alone.
"""

from __future__ import annotations

import _thread
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

from tools.sim.life import Life, PowerCut, current

# A timer may come so many seconds early: a sum of seconds rounds otherwise than the clock does.
ROUNDING = 1e-5
_real_lock = _thread.allocate_lock
_real_start = _thread.start_new_thread
_real_ident = _thread.get_ident


class Turns:
    """Who runs; `call_soon` and `call_later` are the loop's."""

    def __init__(self) -> None:
        """Let the main thread run."""
        self.main = _real_ident()
        self.call_soon: Callable[..., Any] = _no_loop
        self.call_later: Callable[..., Any] = _no_loop
        self.threads: dict[int, Thread] = {}
        self.ready: list[Thread] = []

    def running(self) -> Thread | None:
        """Return the simulated thread that runs, None in the loop's."""
        return self.threads.get(_real_ident())

    def wake(self, thread: Thread) -> None:
        """Let a thread go on when the loop comes to it."""
        if thread not in self.ready:
            self.ready.append(thread)
            self.call_soon(self.give, thread, context=thread.outside)

    def give(self, thread: Thread) -> None:
        """Give the turn to a thread until it waits or ends; the loop stands meanwhile."""
        if thread not in self.ready:
            return
        self.ready.remove(thread)
        if thread.life is not None and thread.life.dead and not thread.is_killed:
            return  # frozen for ever
        if not thread.over:
            thread.turn.release()
            thread.back.acquire()

    def help_on(self, lock: Lock) -> bool:
        """Let threads run until ``lock`` is free, for the loop's own code that waits; False: none can."""
        while lock.holder is not None and self.ready:
            self.give(self.ready[0])
        return lock.holder is None


def _no_loop(*_arguments: Any) -> None:
    raise RuntimeError("no event loop: threads run in a simulation only")


TURNS = Turns()


class Lock:
    """A lock whose waiting takes virtual time."""

    __slots__ = ("holder", "waiting")

    def __init__(self) -> None:
        """Be free."""
        self.holder: object | None = None
        self.waiting: list[Thread] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002
        """As threading.Lock.acquire."""
        if self.holder is None:
            self.holder = TURNS  # whoever it is: only an `RLock` asks
            return True
        if not blocking or timeout == 0:
            return False
        thread = TURNS.running()
        if thread is None:
            if not TURNS.help_on(self):
                raise RuntimeError("the event loop waits for a lock that nobody gives back")
            self.holder = TURNS
            return True
        return self._wait(thread, timeout)

    def _wait(self, thread: Thread, timeout: float) -> bool:
        end = None if timeout < 0 else time.monotonic() + timeout
        timer = None
        if end is not None:
            timer = TURNS.call_later(timeout, TURNS.wake, thread, context=thread.outside)
        self.waiting.append(thread)
        try:
            while self.holder is not None:
                if end is not None and time.monotonic() >= end - ROUNDING:
                    return False
                thread.pause()
            self.holder = thread
        finally:
            self.waiting.remove(thread)
            if timer is not None:
                timer.cancel()
        return True

    def release(self) -> None:
        """As threading.Lock.release."""
        if self.holder is None:
            raise RuntimeError("release unlocked lock")
        self.holder = None
        if self.waiting:
            TURNS.wake(self.waiting[0])

    def locked(self) -> bool:
        """Return whether somebody holds it."""
        return self.holder is not None

    def __enter__(self) -> bool:
        if self.holder is None:
            self.holder = TURNS
            return True
        return self.acquire()

    def __exit__(self, *_error: object) -> None:
        if self.holder is None:
            raise RuntimeError("release unlocked lock")
        self.holder = None
        if self.waiting:
            TURNS.wake(self.waiting[0])

    def _at_fork_reinit(self) -> None:
        self.holder = None


class RLock(Lock):
    """A lock that its holder may take again."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        """Be free."""
        super().__init__()
        self.count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002
        """As threading.RLock.acquire."""
        asks = TURNS.running() or TURNS
        if self.holder is asks:
            self.count += 1
            return True
        if super().acquire(blocking, timeout):
            self.holder, self.count = asks, 1
            return True
        return False

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_error: object) -> None:
        self.release()

    def release(self) -> None:
        """As threading.RLock.release."""
        self.count -= 1
        if self.count <= 0:
            super().release()

    # What threading.Condition asks of a lock of this kind.

    def _release_save(self) -> int:
        count, self.count = self.count, 0
        super().release()
        return count

    def _acquire_restore(self, count: int) -> None:
        self.acquire()
        self.count = count

    def _is_owned(self) -> bool:
        return self.holder is not None and self.holder is (TURNS.running() or TURNS)


class Thread:
    """As threading.Thread, as far as the product uses it."""

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Any = (),
        kwargs: Any = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        """Run ``target``; the context is that of whoever makes it."""
        del group
        self._work = (target, args, kwargs or {})
        self.name = name or "thread"
        self.daemon = bool(daemon)
        self.life: Life | None = current()
        self.context = contextvars.copy_context()
        self.outside = contextvars.copy_context()  # the other one is entered while it runs
        self.turn, self.back = _real_lock(), _real_lock()
        self.turn.acquire()
        self.back.acquire()
        self.over = self.is_killed = False
        self.ident: int | None = None
        self._ended = Lock()

    def start(self) -> None:
        """Let it run when the loop comes to it."""
        self._ended.acquire()
        _real_start(self._run, ())
        self.turn_over()
        TURNS.wake(self)

    def turn_over(self) -> None:
        """Wait until the thread is there: its number is known then."""
        self.back.acquire()

    def _run(self) -> None:
        self.ident = _real_ident()
        TURNS.threads[self.ident] = self
        self.back.release()
        self.turn.acquire()
        try:
            if not self.is_killed:
                self.context.run(self._carry_out)
        finally:
            del TURNS.threads[self.ident]
            self.over = True
            if not self.is_killed:
                self._ended.release()
            self.back.release()

    def _carry_out(self) -> None:
        target, args, words = self._work
        try:
            if target is not None:
                target(*args, **words)
        except PowerCut:
            pass
        except Exception:  # noqa: BLE001  # as a thread's end: it is written, and the process goes on
            threading.excepthook(threading.ExceptHookArgs((*_error(), None)))

    def pause(self) -> None:
        """Give the turn back, until somebody wakes this thread."""
        self.back.release()
        self.turn.acquire()
        if self.is_killed:
            raise PowerCut

    def kill(self) -> None:
        """End it where it waits, after its life: nothing that it does reaches anything."""
        if not self.over and self.ident is not None:
            self.is_killed = True
            self.turn.release()
            self.back.acquire()

    def join(self, timeout: float | None = None) -> None:
        """As threading.Thread.join."""
        if not self.over and self._ended.acquire(timeout=-1 if timeout is None else timeout):
            self._ended.release()

    def is_alive(self) -> bool:
        """Return whether it has begun and not ended."""
        return self.ident is not None and not self.over

    def run(self) -> None:
        """As threading.Thread.run."""
        self._carry_out()


def _error() -> tuple[Any, Any, Any]:
    import sys  # noqa: PLC0415  # for a rare case

    return sys.exc_info()


def sleep(seconds: float) -> None:
    """As time.sleep, in virtual time; the loop's own code may not sleep, as in the product."""
    thread = TURNS.running()
    if thread is None:
        return
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > ROUNDING:
        timer = TURNS.call_later(left, TURNS.wake, thread, context=thread.outside)
        thread.pause()
        timer.cancel()


def install() -> None:
    """Replace locks, threads and sleep for the rest of the process."""
    threading.Lock = threading._allocate_lock = Lock  # type: ignore[assignment, attr-defined]  # noqa: SLF001
    threading.RLock = RLock  # type: ignore[assignment]
    threading.Thread = Thread  # type: ignore[assignment, misc]
    names: Any = time
    names.sleep = sleep


def end_all() -> None:
    """End the threads that are left, after a seed."""
    for thread in list(TURNS.threads.values()):
        thread.kill()
    TURNS.ready.clear()
