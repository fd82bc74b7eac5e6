"""The event loop on the virtual clock: when nothing is to be done, the time of the next timer is there at once.

What a thread of the executor would do is done by the loop, a moment later, in one piece. Threads that wait
are `tools.sim.threads`' business. Connections and names are the network's.
"""

from __future__ import annotations

import asyncio
import asyncio.events
import errno
import os
import selectors
from collections.abc import Callable, Mapping
from typing import Any

from tools.sim.clock import Clock
from tools.sim.life import CURRENT, PowerCut, current
from tools.sim.threads import TURNS


class JumpingSelector(selectors.BaseSelector):
    """Waits for nothing: it moves the clock on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Refuse: there are no real sockets."""
        del events, data
        raise ValueError(f"{fileobj!r} is not of the simulated network")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Know nothing of it."""
        raise KeyError(fileobj)

    def select(self, timeout: float | None = None) -> list[Any]:
        """Let ``timeout`` pass; None: nothing will ever happen again."""
        if timeout is None:
            raise RuntimeError("the simulation stands still: nothing waits for a time")
        self._clock.now += max(0.0, timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return no files."""
        return {}


class SimLoop(asyncio.SelectorEventLoop):
    """asyncio's loop with this clock, this network, and no real waiting.

    Attributes:
        net: opens connections; set by the world.
        executor_seconds: how long what a thread does takes, from the seed.
    """

    def __init__(self, clock: Clock) -> None:
        self._sim_clock = clock
        self.net: Any = None
        self.executor_seconds: Callable[[], float] = lambda: 0.0
        self.failed: list[dict[str, Any]] = []
        super().__init__(JumpingSelector(clock))
        self._clock_resolution = 1e-6
        TURNS.call_soon, TURNS.call_later = self.call_soon, self.call_later
        self.set_exception_handler(lambda _loop, context: self.failed.append(context))

    def time(self) -> float:
        """Return the virtual seconds."""
        return self._sim_clock.now

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
        """Do the work a moment later, in one piece."""
        del executor
        future = self.create_future()
        self.call_later(self.executor_seconds(), self._work, future, func, args)
        return future

    def _work(self, future: asyncio.Future[Any], func: Callable[..., Any], args: Any) -> None:
        if future.cancelled():
            return

        def body() -> None:
            result, error = None, None
            try:
                result = func(*args)
            except PowerCut:
                return
            except BaseException as caught:  # noqa: BLE001  # the caller gets it
                error = caught
            life = current()
            if (life is not None and life.dead) or future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        body()

    async def getaddrinfo(self, host: Any, port: Any, **_hints: int) -> list[Any]:
        """Ask the simulated name server; raises OSError."""
        found: list[Any] = await self.net.look_up(host, port)
        return found

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Connect a simulated socket; raises OSError."""
        await self.net.connect(sock, address)

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], *_: Any, sock: Any = None,
        ssl: Any = None, server_hostname: str | None = None, **__: Any,
    ) -> tuple[Any, asyncio.BaseProtocol]:  # fmt: skip
        """Begin to use a connected socket, by TLS if ``ssl`` is given; raises OSError."""
        made = protocol_factory()
        transport = await self.net.begin(sock, made, ssl, server_hostname, is_client=True)
        return transport, made

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


def freeze_the_dead() -> None:
    """Let no callback run whose life is over: a machine without power executes no line more."""
    run = asyncio.events.Handle._run  # noqa: SLF001

    def guarded(self: asyncio.events.Handle) -> None:
        context = self._context  # type: ignore[attr-defined]
        life = context.get(CURRENT) if context is not None else None
        if life is not None and life.dead:
            life.kept.append(
                self
            )  # so that no coroutine is ended by the collector in the middle of a seed
            return
        run(self)

    asyncio.events.Handle._run = guarded  # type: ignore[method-assign]  # noqa: SLF001
