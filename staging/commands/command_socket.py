"""The server's side of the command socket, a Unix socket in the data folder; `staging.commands.asking` is the other side.

Whoever can open the folder can send commands; the network cannot reach it. A request is one line of
JSON (``{"say": {"uuid": …, "text": …}}``, ``{"cancel": {"uuid": …}}``), and so is the response
(``{"outcome": …}`` or ``{"error": …}``).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from staging.commands.asking import REQUEST_LIMIT, SOCKET_NAME, short_address
from staging.errors import GatewayError, StagingError
from wire.errors import FieldError, WireError
from wire.fields import dump_object, get_object, parse_object

# Commands are run by hand; a script in a loop must not use up the file descriptors.
CONNECTION_LIMIT = 16
# The command sends its whole request in one write.
READ_DEADLINE = 5.0
# Time for a GET and a PUT of ten seconds each, and for the store.
WORK_DEADLINE = 30.0

Work = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_command_socket(root: Path, works: Mapping[str, Work]) -> AsyncIterator[None]:
    """Serve commands while the block runs; the caller must hold the folder's lock.

    ``works`` maps a command to its coroutine, which takes arguments and returns an outcome as JSON.

    On a disk that is read-only there is no socket: devices and apps are served, and commands do what they can themselves.

    Raises:
        StagingError: the socket cannot be made.
    """
    path = root / SOCKET_NAME
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A killed server leaves its socket behind; the lock shows that no other server runs.
        path.unlink(missing_ok=True)
        with short_address(path) as address:
            sock.bind(address)
        path.chmod(0o600)
    except OSError as error:
        sock.close()
        if error.errno == errno.EROFS:
            _log.error("%s: %s: commands find no server", path, error.strerror)
            yield
            return
        raise StagingError(f"{path}: {error.strerror}") from error
    commands = _CommandServer(works)
    server = await asyncio.start_unix_server(commands.answer, sock=sock, limit=REQUEST_LIMIT)
    try:
        yield
    finally:
        server.close()
        await commands.close()
        path.unlink(missing_ok=True)


class _CommandServer:
    def __init__(self, works: Mapping[str, Work]) -> None:
        self._works = works
        self._tasks: set[asyncio.Task[Any]] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which carries one request."""
        task = asyncio.current_task()
        if task is None:  # asyncio runs this callback as a task
            raise RuntimeError("a connection is served outside a task")
        if len(self._tasks) >= CONNECTION_LIMIT:
            writer.write(dump_object({"busy": True}) + b"\n")
            writer.close()
            return
        self._tasks.add(task)
        try:
            answer = await self._carry_out(reader)
            writer.write(dump_object(answer) + b"\n")
            async with asyncio.timeout(READ_DEADLINE):
                await writer.drain()
        except (OSError, TimeoutError) as error:
            _log.info("a command disconnected: %s", error or type(error).__name__)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _carry_out(self, reader: asyncio.StreamReader) -> dict[str, object]:
        try:
            async with asyncio.timeout(READ_DEADLINE):
                line = await reader.readline()
            request = parse_object(line, "request")
            name = next(iter(request), "")
            if name not in self._works:
                raise FieldError("request", name, f"one of {', '.join(self._works)}")
            async with asyncio.timeout(WORK_DEADLINE):
                outcome = await self._works[name](get_object(request, name))
        except (WireError, StagingError, GatewayError, ValueError) as error:
            return {"error": str(error)}
        except SQLAlchemyError as error:
            _log.error("a command failed: %s", error)
            return {"error": "the store cannot be used now"}
        except TimeoutError:
            return {"error": f"no answer within {WORK_DEADLINE:g} s"}
        return {"outcome": outcome}

    async def close(self) -> None:
        """Cancel the requests in progress."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
