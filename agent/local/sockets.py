"""The sockets of the local API, and its server as the daemon holds it.

The HTTP server's code is imported when somebody connects for the first time: it is a seventh of the
agent's start and a tenth of its memory, and nobody may ever connect to a machine in a child's room.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.local.server import LocalServer

# sun_path in unix(7).
SOCKET_PATH_LIMIT = 107
# Clients that wait while the server's code is imported.
BACKLOG = 128


class LocalAccessError(RuntimeError):
    """The agent cannot listen on a local address."""


@contextlib.contextmanager
def unix_socket(path: Path) -> Iterator[socket.socket]:
    """Bind a Unix socket for this user and its group; it is removed at the end.

    The caller holds the state folder's lock, so an existing socket file is stale.

    Raises:
        LocalAccessError: the path is too long or cannot be bound.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise LocalAccessError(
            f"socket {path}: expected a path of at most {SOCKET_PATH_LIMIT} bytes"
        )
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        mask = os.umask(0o117)
        try:
            bound.bind(str(path))
        finally:
            os.umask(mask)
    except OSError as error:
        bound.close()
        raise LocalAccessError(f"socket {path}: {error.strerror}") from error
    with bound:
        yield bound
    # On a card that has become read-only it stays; nobody listens at it, and `agent.state` knows such ones.
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def loopback_socket(port: int) -> socket.socket:
    """Bind 127.0.0.1:``port``; raises LocalAccessError if it is in use."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError as error:
        bound.close()
        raise LocalAccessError(f"local.http_port {port}: {error.strerror}") from error
    return bound


class ServerOnDemand:
    """Listens at once, and starts the server at the first connection."""

    def __init__(self, make: Callable[[], LocalServer]) -> None:
        """Use ``make``, which is called once, in a thread."""
        self._make = make
        self._woken = asyncio.Event()
        self._stopping = False
        self._server: LocalServer | None = None

    @property
    def started(self) -> bool:
        """Whether somebody has connected, so that the server's code is loaded."""
        return self._server is not None

    async def serve(
        self, sockets: Sequence[socket.socket], listening: Callable[[], None] = lambda: None
    ) -> None:
        """Serve on ``sockets``, which are bound, until `stop`; raises LocalAccessError.

        ``listening`` is called when all of them take connections.
        """
        for each in sockets:
            each.setblocking(False)
            try:
                each.listen(BACKLOG)
            except OSError as error:  # another socket of ours has the port
                raise LocalAccessError(
                    f"local API on {each.getsockname()}: {error.strerror}"
                ) from error
        listening()
        await self._wait_for_connection(sockets)
        if self._ended():
            return
        self._server = server = await asyncio.to_thread(self._make)
        if self._ended():  # meanwhile
            server.stop()
        await server.serve(list(sockets))

    def stop(self) -> None:
        """End `serve`: requests that are being answered have a short time left."""
        self._stopping = True
        self._woken.set()
        if self._server is not None:
            self._server.stop()

    def _ended(self) -> bool:
        return self._stopping

    async def _wait_for_connection(self, sockets: Sequence[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        for each in sockets:
            loop.add_reader(each, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            for each in sockets:
                loop.remove_reader(each)
