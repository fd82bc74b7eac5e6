"""Connections of a simulated machine to itself: from its player to the relay of stories from the web. They have no faults."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

from tools.sim.life import Life, current

ADDRESS = "127.0.0.1"
_FIRST_PORT = 30000

Factory = Callable[[], Any]


class LocalEnd(asyncio.Transport):
    """One end; callbacks run as the code of whoever has made it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any, port: int) -> None:
        """Be an end of a connection to ``port``."""
        super().__init__({"peername": (ADDRESS, port), "sockname": (ADDRESS, port)})
        self._loop, self._protocol = loop, protocol
        self._context = contextvars.copy_context()
        self.other: LocalEnd | None = None
        self._lost = self._held_back = False
        self._held: list[bytes] = []

    def begin(self) -> None:
        """Tell the protocol of its connection."""
        self._later(self._protocol.connection_made, self)

    def _later(self, work: Callable[..., Any], *words: Any) -> None:
        self._loop.call_soon(work, *words, context=self._context)

    def write(self, data: Any) -> None:
        """Give the other end bytes."""
        if not self._lost and self.other is not None:
            self.other._later(self.other._take, bytes(data))  # noqa: SLF001  # of the same pair

    def _take(self, data: bytes) -> None:
        if self._held_back:
            self._held.append(data)
        elif not self._lost:
            self._protocol.data_received(data)

    def _take_end(self) -> None:
        if self._held_back:
            self._held.append(b"")
        elif not self._lost and not self._protocol.eof_received():
            self.close()

    def close(self) -> None:
        """End: the other end reads what is on its way, and the end."""
        if self._lost:
            return
        self._lost = True
        if self.other is not None:
            self.other._later(self.other._take_end)  # noqa: SLF001  # of the same pair
        self._later(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """End."""
        self.close()

    def is_closing(self) -> bool:
        """Return whether nothing can be sent any more."""
        return self._lost

    def pause_reading(self) -> None:
        """Hold what comes."""
        self._held_back = True

    def resume_reading(self) -> None:
        """Give what was held."""
        self._held_back = False
        held, self._held = self._held, []
        for data in held:
            self._later(*((self._take, data) if data else (self._take_end,)))

    def is_reading(self) -> bool:
        """Return whether what comes is given on."""
        return not self._held_back

    def get_write_buffer_size(self) -> int:
        """Hold nothing back."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Have no limits: a story of the simulation is small."""

    def can_write_eof(self) -> bool:
        """Return False: nobody needs it."""
        return False

    def get_protocol(self) -> Any:
        """Return the protocol."""
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        """Use another protocol."""
        self._protocol = protocol


class LocalServer:
    """What asyncio's start_server returns, and its socket."""

    def __init__(self, factory: Factory, port: int) -> None:
        """Listen for the process whose code runs."""
        self.factory, self.port = factory, port
        self.life: Life | None = current()
        self.context = contextvars.copy_context()
        self.is_closed = False

    @property
    def sockets(self) -> list[LocalServer]:
        """Itself, which knows its address."""
        return [self]

    def getsockname(self) -> tuple[str, int]:
        """Return the address."""
        return ADDRESS, self.port

    def close(self) -> None:
        """Listen no longer."""
        self.is_closed = True

    @property
    def works(self) -> bool:
        """Whether somebody answers."""
        return not self.is_closed and not (self.life is not None and self.life.dead)


class Loopback:
    """The ports of a machine's own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have none."""
        self._loop = loop
        self._servers: dict[int, LocalServer] = {}

    def listen(self, factory: Factory) -> LocalServer:
        """Listen on a free port."""
        port = _FIRST_PORT + len(self._servers)
        self._servers[port] = LocalServer(factory, port)
        return self._servers[port]

    def connect(self, factory: Factory, port: int) -> tuple[LocalEnd, Any]:
        """Connect to a port; raises OSError."""
        server = self._servers.get(port)
        if server is None or not server.works:
            raise ConnectionRefusedError(111, "Connection refused")
        mine = LocalEnd(self._loop, factory(), port)
        theirs = server.context.run(lambda: LocalEnd(self._loop, server.factory(), port))
        mine.other, theirs.other = theirs, mine
        theirs.begin()
        mine.begin()
        return mine, mine.get_protocol()
