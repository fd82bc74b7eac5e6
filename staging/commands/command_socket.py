"""The command socket of the running server: a Unix socket in the data folder.

Whoever can open the folder can send commands; the network cannot reach it. A request is one line of
JSON (``{"say": {"uuid": …, "text": …}}``, ``{"cancel": {"uuid": …}}``), and so is the response
(``{"outcome": …}`` or ``{"error": …}``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import GatewayError, NoServerError, StagingError
from wire.errors import FieldError, WireError
from wire.fields import dump_object, get_object, parse_object

SOCKET_NAME = "story-cloud.sock"
# Commands are run by hand; a script in a loop must not use up the file descriptors.
CONNECTION_LIMIT = 16
REQUEST_LIMIT = 16 * 1024
ANSWER_LIMIT = 256 * 1024
# The command sends its whole request in one write.
READ_DEADLINE = 5.0
# Time for a GET and a PUT of ten seconds each, and for the store.
WORK_DEADLINE = 30.0
# Longer than the server's deadline, because the server's error is more precise.
CLIENT_DEADLINE = 40.0

Work = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_command_socket(root: Path, works: Mapping[str, Work]) -> AsyncIterator[None]:
    """Serve commands while the block runs; the caller must hold the folder's lock.

    ``works`` maps a command to its coroutine, which takes arguments and returns an outcome as JSON.

    Raises:
        StagingError: the socket cannot be made.
    """
    path = root / SOCKET_NAME
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A killed server leaves its socket behind; the lock shows that no other server runs.
        path.unlink(missing_ok=True)
        with _short(path) as address:
            sock.bind(address)
        path.chmod(0o600)
    except OSError as error:
        sock.close()
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


def ask(root: Path, name: str, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Send the command ``name`` to the running server; returns its outcome as JSON.

    Raises:
        NoServerError: no server runs on ``root``.
        StagingError: the server did not answer, or refused; then the message is the server's.
    """
    request = dump_object({name: dict(arguments)}) + b"\n"
    if len(request) > REQUEST_LIMIT:
        raise StagingError(f"{name}: longer than {REQUEST_LIMIT} bytes")
    path = root / SOCKET_NAME
    try:
        line = _exchange(path, request)
        answer = json.loads(line)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NoServerError(f"{name}: no story-cloud serves {root}; start one") from error
    except TimeoutError as error:
        raise StagingError(f"{name}: no answer within {CLIENT_DEADLINE:g} s") from error
    except (OSError, ValueError) as error:
        raise StagingError(f"{name}: the server on {path} does not answer: {error}") from error
    if "outcome" not in answer:
        raise StagingError(f"{name}: {answer.get('error')}")
    return dict(answer["outcome"])


def _exchange(path: Path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(CLIENT_DEADLINE)
        with _short(path) as address:
            sock.connect(address)
        # A server at its connection limit closes the connection before it reads.
        with contextlib.suppress(BrokenPipeError):
            sock.sendall(request)
        with sock.makefile("rb") as answer:
            return answer.readline(ANSWER_LIMIT)


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Yield a path by the folder's descriptor: the real one may be over sun_path's 108 bytes."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
