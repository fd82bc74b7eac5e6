"""The event loop on the virtual clock: when nothing is to be done, the time of the next timer is there at once.

What a thread of the executor would do is done by the loop, a moment later, in one piece. Threads that wait
are `tools.sim.threads`' business. Connections and names are the network's.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import heapq
import itertools
import os
import selectors
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context, copy_context
from typing import Any, cast
from weakref import WeakKeyDictionary

from tools.sim.clock import Clock
from tools.sim.life import CURRENT, PowerCut, current
from tools.sim.threads import TURNS

# Timers this near to each other are due together, in seconds.
RESOLUTION = 1e-6
# Seconds that a turn of the loop takes, as a processor's does: what waits for less than a float's rounding of the time
# would else wait for ever (seed 5 of a day did, for the last 1e-12 s of a sleep timer).
TURN_SECONDS = 1e-9
# What a thread does for longer is done by the half of that, and told at its end.
SHORT_SECONDS = 0.01
# Of timers that were cancelled, so many may wait among the others.
CANCELLED_MAX = 500


class NoSelector(selectors.BaseSelector):
    """Watches nothing: there is nothing outside of the simulation."""

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Refuse: there are no real sockets."""
        del events, data
        raise ValueError(f"{fileobj!r} is not of the simulated network")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Know nothing of it."""
        raise KeyError(fileobj)

    def select(self, timeout: float | None = None) -> list[Any]:
        """Find nothing."""
        del timeout
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return no files."""
        return {}


class SimHandle(list[Any]):
    """What asyncio's `Handle` and `TimerHandle` are to their holders, and no more: [callback, arguments, context, time].

    A list, as it is made in half the time of an object with members. No callback: it was cancelled. Time -1: it is
    no timer that waits.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]  # a list has none
    __eq__ = object.__eq__

    def cancel(self) -> None:
        """As asyncio's."""
        if self[0] is not None:
            self[0], self[1] = None, ()
            if self[3] >= 0:
                LOOP.now.timer_was_cancelled()

    def cancelled(self) -> bool:
        """As asyncio's."""
        return self[0] is None

    def when(self) -> float:
        """As asyncio's."""
        return float(self[3])


class SimTask(asyncio.Task[Any]):
    """A task that has its place in a set by its number, and not by its address: a `TaskGroup` cancels its own in a set's order."""

    numbers = itertools.count()

    def __init__(self, coro: Any, **words: Any) -> None:
        """As asyncio's."""
        self.number = next(self.numbers)
        super().__init__(coro, **words)

    def __hash__(self) -> int:
        return self.number


class Running:
    """Which loop runs: there is one at a time."""

    now: SimLoop


LOOP = Running()


class SimLoop(asyncio.SelectorEventLoop):
    """asyncio's loop with this clock, this network, and no real waiting.

    Its own turning is a lean one of that of `asyncio.BaseEventLoop`: it is most of a quiet day's work. No
    callback runs whose life is over: a machine without power executes no line more.

    Attributes:
        net: opens connections; set by the world.
        executor_seconds: how long what a thread does takes, from the seed.
    """

    def __init__(self, clock: Clock) -> None:
        self._sim_clock = clock
        self.net: Any = None
        self.executor_seconds: Callable[[], float] = lambda: 0.0
        self.failed: list[dict[str, Any]] = []
        self._busy_until: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        """Until when an executor with one thread is at work."""
        self._timers: list[tuple[float, int, SimHandle]] = []
        self._order, self._cancelled = itertools.count(), 0
        LOOP.now, SimTask.numbers = self, itertools.count()
        super().__init__(NoSelector())
        self.create_future = functools.partial(asyncio.Future, loop=self)  # type: ignore[method-assign]
        self._ready: deque[SimHandle] = deque()
        TURNS.call_soon, TURNS.call_later = self.call_soon, self.call_later
        self.set_exception_handler(lambda _loop, context: self.failed.append(context))

    # Each future and each task asks: a type that is called makes no frame.
    get_debug: Any = staticmethod(bool)

    def time(self) -> float:
        """Return the virtual seconds."""
        return self._sim_clock.now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> SimHandle:
        """As asyncio's."""
        handle = SimHandle((callback, args, copy_context() if context is None else context, -1.0))
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> SimHandle:
        """As asyncio's: threads run one at a time."""
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> SimHandle:
        """As asyncio's."""
        when = self._sim_clock.now + delay
        context = copy_context() if context is None else context
        handle = SimHandle((callback, args, context, when))
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> SimHandle:
        """As asyncio's; those of one moment come in the order in which they were asked for."""
        context = copy_context() if context is None else context
        handle = SimHandle((callback, args, context, when))
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def create_task(  # type: ignore[override]
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        """As asyncio's; whose it is, is noted."""
        task = SimTask(coro, loop=self, name=name, context=context)
        life = CURRENT.get() if context is None else context.get(CURRENT)
        if life is not None:
            life.tasks.add(task)
        return task

    @property
    def steps(self) -> int:
        """How many timers were asked for."""
        return next(self._order)

    def timer_was_cancelled(self) -> None:
        """Drop cancelled timers when there are many; a few wait until they are due."""
        self._cancelled += 1
        if self._cancelled > CANCELLED_MAX:
            self._timers[:] = [timer for timer in self._timers if timer[2][0] is not None]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def _run_once(self) -> None:  # noqa: C901  # see below
        """Turn until somebody stops the loop: let the next time come if nothing is to be done now, and do what is due.

        It is one function, for 200,000 callbacks a day.
        """
        ready, clock, timers, pop = self._ready, self._sim_clock, self._timers, heapq.heappop
        life_of = CURRENT
        while True:
            now = clock.now
            if not ready and not self._stopping:  # type: ignore[attr-defined]  # asyncio's own
                while timers and timers[0][2][0] is None:
                    pop(timers)
                if not timers:
                    raise RuntimeError("the simulation stands still: nothing waits for a time")
                now = max(now, timers[0][0])
            clock.now = now = now + TURN_SECONDS
            due = now + RESOLUTION
            while timers and timers[0][0] <= due:
                ready.append(pop(timers)[2])
            for _ in range(len(ready)):
                handle = ready.popleft()
                callback, args, context, _ = handle
                if callback is None:
                    continue
                life = context.get(life_of)
                if life is not None and life.dead:
                    # Kept, so that no coroutine is ended by the collector in the middle of a seed.
                    life.kept.append(handle)
                    continue
                handle[3] = -1.0
                try:
                    context.run(callback, *args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001  # as asyncio's loop
                    self.call_exception_handler({"message": "callback", "exception": error})
            if self._stopping:  # type: ignore[attr-defined]  # asyncio's own
                return

    def let_go(self) -> None:
        """Hold nothing that waits: the loop of a seed that is over is known to others until the next one begins."""
        self._ready.clear()
        self._timers.clear()
        self.failed.clear()
        self.net = None

    def _make_self_pipe(self) -> None:
        """Need none: nothing wakes this loop from outside."""
        self._ssock = self._csock = None

    def _close_self_pipe(self) -> None:
        """Have none."""

    def _write_to_self(self) -> None:
        """Need no waking."""

    def add_signal_handler(  # type: ignore[override]
        self, sig: int, callback: Callable[..., Any], *args: Any
    ) -> None:
        """Note what a signal calls, by the life that listens."""
        life = current()
        if life is not None:
            life.signals[sig] = lambda: callback(*args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Forget it."""
        life = current()
        return life is not None and life.signals.pop(sig, None) is not None

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        """Do the work a moment later, in one piece; an executor with one thread does one after another.

        What takes long is done by the half of its time, as a file is replaced before its folder is synced: what
        began later may be told first.
        """
        future, now = self.create_future(), self._sim_clock.now
        took, rest = self.executor_seconds(), 0.0
        if getattr(executor, "_max_workers", 0) == 1:
            end = max(now + took, self._busy_until.get(executor, now))
            self._busy_until[executor] = end
        else:
            rest = took / 2 if took > SHORT_SECONDS else 0.0
            end = now + took - rest
        self.call_at(end, self._work, future, func, args, rest)
        return future

    def _work(
        self, future: asyncio.Future[Any], func: Callable[..., Any], args: Any, rest: float
    ) -> None:
        if future.cancelled():
            return

        try:
            result, is_error = func(*args), False
        except PowerCut:
            return
        except BaseException as caught:  # noqa: BLE001  # the caller gets it
            result, is_error = caught, True
        if rest:
            self.call_later(rest, self._tell, future, result, is_error)
        else:
            self._tell(future, result, is_error)

    @staticmethod
    def _tell(future: asyncio.Future[Any], result: Any, is_error: bool) -> None:  # noqa: FBT001  # of a callback
        life = current()
        if not (life is not None and life.dead) and not future.done():
            if is_error:
                future.set_exception(result)
            else:
                future.set_result(result)

    async def getaddrinfo(self, host: Any, port: Any, **_hints: int) -> list[Any]:
        """Ask the simulated name server; raises OSError."""
        found: list[Any] = await self.net.look_up(host, port)
        return found

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Connect a simulated socket; raises OSError."""
        await self.net.connect(sock, address)

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], *address: Any, sock: Any = None,
        ssl: Any = None, server_hostname: str | None = None, **__: Any,
    ) -> tuple[Any, asyncio.BaseProtocol]:  # fmt: skip
        """Begin to use a connected socket, by TLS if ``ssl`` is given, or connect to this machine; raises OSError."""
        if sock is None:
            return cast("tuple[Any, Any]", self.net.local.connect(protocol_factory, address[1]))
        made = protocol_factory()
        transport = await self.net.begin(sock, made, ssl, server_hostname, is_client=True)
        return transport, made

    async def create_server(self, protocol_factory: Callable[[], Any], *_: Any, **__: Any) -> Any:
        """Listen for this machine itself."""
        return self.net.local.listen(protocol_factory)

    async def connect_accepted_socket(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], sock: Any, *, ssl: Any = None,
        **__: Any,
    ) -> tuple[Any, asyncio.BaseProtocol]:  # fmt: skip
        """As `create_connection`, at the other end."""
        made = protocol_factory()
        transport = await self.net.begin(sock, made, ssl, None, is_client=False)
        return transport, made

    async def start_tls(
        self, transport: Any, protocol: asyncio.BaseProtocol, *_: Any, **__: Any
    ) -> Any:
        """Begin TLS at the server's end of a connection, whatever is around its transport."""
        return await self.net.secure(transport.get_extra_info("socket"), protocol)

    async def subprocess_exec(self, *_: Any, **__: Any) -> Any:
        """Have no programs: what they would do, the simulated board does."""
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def add_reader(  # type: ignore[override]
        self, fd: Any, callback: Callable[..., Any], *args: Any
    ) -> Any:
        """Call when a simulated socket has something."""
        self.net.watch(fd, callback, args)

    def remove_reader(self, fd: Any) -> bool:
        """Call no more."""
        return bool(self.net.unwatch(fd))
