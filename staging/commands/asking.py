"""A command's side of the command socket: one request to the running server, and its answer."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from staging.errors import NoServerError, StagingError
from wire.fields import dump_object

SOCKET_NAME = "story-cloud.sock"
REQUEST_LIMIT = 16 * 1024
# The numbers of all devices that are connected, in one line.
ANSWER_LIMIT = 2 * 1024 * 1024
# Longer than the server's deadline, because the server's error is more precise.
CLIENT_DEADLINE = 40.0


class UnknownWorkError(StagingError):
    """The running server is of another version, and does not know the command: nothing was done."""


def ask(root: Path, name: str, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Send the command ``name`` to the running server; returns its outcome as JSON.

    Raises:
        NoServerError: no server runs on ``root``, or it serves as many commands as it can: nothing was done.
        UnknownWorkError: it does not know the command.
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
    if answer.get("busy"):
        raise NoServerError(f"{name}: the server on {path} serves too many commands; try again")
    if "outcome" not in answer:
        if str(answer.get("error")).startswith(f'request: got "{name}"'):
            raise UnknownWorkError(f"{name}: {answer['error']}")
        raise StagingError(f"{name}: {answer.get('error')}")
    return dict(answer["outcome"])


def _exchange(path: Path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(CLIENT_DEADLINE)
        with short_address(path) as address:
            sock.connect(address)
        # A server at its connection limit closes the connection before it reads.
        with contextlib.suppress(BrokenPipeError):
            sock.sendall(request)
        with sock.makefile("rb") as answer:
            return answer.readline(ANSWER_LIMIT)


@contextmanager
def short_address(path: Path) -> Iterator[str]:
    """Yield a path by the folder's descriptor: the real one may be over sun_path's 108 bytes."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
