"""Accepts connections for the API and for devices, within limits that hold before TLS begins.

asyncio's own server gives each connection its TLS buffers at once, waits a minute for its first byte, and logs a
line for each attempt to accept when there are no file descriptors left. Here a connection is only a socket until it has
sent something; who may wait and who goes in next is `staging.crowd`'s decision.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import select
import socket
import struct
from collections.abc import Awaitable, Callable

from staging.crowd import Crowd, DoorLimits, network_of

Settle = Callable[[], None]
Serve = Callable[[socket.socket, Settle], Awaitable[None]]
"""Serves one connection until it is closed, and closes it; calls the function when it is known who it is."""

# Connections accepted before others of the event loop have their turn.
AT_ONCE = 64
# Seconds without accepting when the system has no more file descriptors or memory.
PAUSE_SECONDS = 1.0
SWEEP_SECONDS = 1.0
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_RESET = struct.pack("ii", 1, 0)

_log = logging.getLogger(__name__)


class Doorman:
    """Takes the connections of one listening socket."""

    def __init__(
        self,
        name: str,
        serve: Serve,
        limits: DoorLimits,
        *,
        exempt: Callable[[str], bool] = lambda _address: False,
        half_closes: bool = True,
    ) -> None:
        """Serve by ``serve``; ``name`` is for the log.

        ``half_closes``: whether one that has closed its direction may want an answer, as in HTTP and never in TLS.

        ``exempt(address)``: whether each of the address's connections counts as an address of its own,
        as those of a proxy do.
        """
        self._name = name
        self._serve = serve
        self._exempt = exempt
        self._half_closes = half_closes
        self._crowd: Crowd[socket.socket] = Crowd(limits)
        self._tasks: dict[socket.socket, asyncio.Task[None]] = {}
        self._listener: socket.socket | None = None
        self._paused = False
        self._sweeping: asyncio.TimerHandle | None = None
        self._dropped = 0

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._crowd)

    @property
    def begun(self) -> int:
        """How many connections have begun and are not settled."""
        return self._crowd.begun

    def open(self, listener: socket.socket) -> None:
        """Begin to accept on a listening socket, which the caller closes after `close`."""
        listener.setblocking(False)
        self._listener = listener
        loop = asyncio.get_running_loop()
        loop.add_reader(listener.fileno(), self._accept_some)
        self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """Accept no more, and end what is not settled; what is goes on until its own end."""
        if self._listener is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener.fileno())
        self._listener = None
        if self._sweeping is not None:
            self._sweeping.cancel()
        for sock in self._crowd.waiting():
            self._drop(sock)
        for sock, task in list(self._tasks.items()):
            if self._crowd.has_begun(sock):
                task.cancel()

    # Accepting.

    def _accept_some(self) -> None:
        if self._listener is None:
            return
        for _ in range(AT_ONCE):
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause(error)
                else:
                    _log.error("%s: a connection is not accepted: %s", self._name, error)
                return
            self._take(sock, address)

    def _take(self, sock: socket.socket, address: object) -> None:
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        dropped = self._crowd.arrive(sock, self._network(address), loop.time())
        for each in dropped:
            self._dropped += 1
            self._close(each)
        if sock not in dropped:
            loop.add_reader(sock.fileno(), self._hear, sock)

    def _network(self, address: object) -> str:
        if not isinstance(address, tuple):
            return ""
        host, port = str(address[0]), address[1]
        return f"{host} {port}" if self._exempt(host) else network_of(host)

    def _pause(self, error: OSError) -> None:
        """Let the event loop do something else: the listening socket stays readable."""
        loop = asyncio.get_running_loop()
        waiting = self._crowd.waiting()
        _log.error(
            "%s: no connection is accepted for %g s: %s (%d are open, %d of them silent)",
            self._name, PAUSE_SECONDS, error.strerror, len(self._crowd), len(waiting),
        )  # fmt: skip
        for sock in waiting[: len(waiting) // 2 + 1]:
            self._drop(sock)
        if self._listener is not None and not self._paused:
            self._paused = True
            loop.remove_reader(self._listener.fileno())
            loop.call_later(PAUSE_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._paused = False
        if self._listener is not None:
            loop = asyncio.get_running_loop()
            loop.add_reader(self._listener.fileno(), self._accept_some)

    def _hear(self, sock: socket.socket) -> None:
        """Note that a connection sends something, or that it has ended."""
        asyncio.get_running_loop().remove_reader(sock.fileno())
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except OSError:
            first = b""
        # One that closes without a word is told by whoever serves it: a check of the port, usually.
        if self._crowd.speak(sock) or not first:
            self._begin_some(sock)
        else:
            self._dropped += 1
            self._close(sock)

    # Serving.

    def _begin_some(self, newest: socket.socket | None = None) -> None:
        """Let in whose turn it is; one that has waited and gone meanwhile costs no handshake."""
        while (sock := self._crowd.next()) is not None:
            if sock is not newest and not self._half_closes and _has_gone(sock):
                self._dropped += 1
                self._close(sock)
                continue
            task = asyncio.get_running_loop().create_task(self._carry(sock))
            self._tasks[sock] = task

    async def _carry(self, sock: socket.socket) -> None:
        try:
            await self._serve(sock, lambda: self._settle(sock))
        except asyncio.CancelledError:
            _abort(sock)
        finally:
            self._tasks.pop(sock, None)
            self._crowd.leave(sock)
            self._begin_some()

    def _settle(self, sock: socket.socket) -> None:
        self._crowd.settle(sock)
        self._begin_some()

    # Ending.

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in self._crowd.late(loop.time()):
            self._dropped += 1
            self._drop(sock)
        if self._dropped:
            _log.warning(
                "%s: %d connections were dropped that said nothing or were too many (%d are open)",
                self._name, self._dropped, len(self._crowd),
            )  # fmt: skip
            self._dropped = 0
        self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep)

    def _drop(self, sock: socket.socket) -> None:
        self._crowd.leave(sock)
        self._close(sock)

    def _close(self, sock: socket.socket) -> None:
        self._crowd.leave(sock)
        if sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(sock.fileno())
            _abort(sock)
            sock.close()


def _has_gone(sock: socket.socket) -> bool:
    """Return whether the other side has closed, behind whatever it sent."""
    gone = select.poll()
    gone.register(sock, select.POLLRDHUP)
    return bool(gone.poll(0))


def _abort(sock: socket.socket) -> None:
    """Let the system forget the connection at its close, without waiting for the peer."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
