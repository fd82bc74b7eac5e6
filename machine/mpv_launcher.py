"""Becomes mpv under a user of its own: systemd starts it for each connection to the player's socket.

What it is told (docs/playing.md): one line of JSON with mpv's options and environment, and beside it
the socket on which mpv takes its orders. The connection itself is the leash: mpv holds it open, so that its
end tells the agent of mpv's death, and what the agent writes or closes there kills mpv. The kernel
does that (fcntl(2), F_SETSIG), also to a process that hangs: the agent may signal no other user's.
Only the standard library is used, for the memory that becomes mpv's.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from machine.mpv_options import build_command, build_environment
from machine.mpv_program import find_program

# systemd's first descriptor (sd_listen_fds(3)).
CONNECTION = 3
# The agent sends its line at once.
ORDER_SECONDS = 5.0
ORDER_BYTES = 64 * 1024


class OrderError(ValueError):
    """The agent's line is not what is expected; the message says what."""


def receive(connection: socket.socket) -> tuple[bytes, int]:
    """Return the line and the descriptor that came with it.

    Raises:
        OrderError: it ends too early, is too long, or has not one descriptor.
        OSError: nothing came in time.
    """
    connection.settimeout(ORDER_SECONDS)
    line, descriptors, _, _ = socket.recv_fds(connection, ORDER_BYTES, 1)
    while not line.endswith(b"\n"):
        more = connection.recv(ORDER_BYTES)
        line += more
        if not more or len(line) > ORDER_BYTES:
            raise OrderError(f"got {len(line)} bytes without an end, expected one line of JSON")
    if len(descriptors) != 1:
        raise OrderError(f"got {len(descriptors)} descriptors, expected mpv's socket")
    return line, descriptors[0]


def parse(line: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """Return mpv's options and environment; raises OrderError."""
    try:
        order = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise OrderError(f"got no JSON: {error}") from error
    return _texts(order, "options"), build_environment(_texts(order, "environment"))


def _texts(order: Any, name: str) -> dict[str, str]:
    texts = order.get(name) if isinstance(order, Mapping) else None
    if not isinstance(texts, dict) or not all(
        isinstance(text, str) and "\0" not in text for pair in texts.items() for text in pair
    ):
        raise OrderError(f"{name}: expected an object of texts")
    return texts


def hold_leash(connection: socket.socket) -> None:
    """Let the kernel kill this process when the other side writes or closes."""
    descriptor = connection.fileno()
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_ASYNC)
    if select.select([descriptor], [], [], 0)[0]:
        raise OrderError("the agent has already let go")


def main() -> None:
    """Take the order and become mpv; otherwise exit with the reason on standard error."""
    connection = socket.socket(fileno=CONNECTION)
    try:
        line, descriptor = receive(connection)
        options, environment = parse(line)
        program = find_program()
        if not program:
            raise OrderError("neither mpv nor libmpv is installed")
        hold_leash(connection)
    except (OrderError, OSError) as error:
        sys.exit(f"story-player: {error}")
    for kept in (CONNECTION, descriptor):
        os.set_inheritable(kept, True)
    command = build_command(program, descriptor, options)
    environment = build_environment(os.environ) | environment
    os.execve(command[0], command, environment)  # noqa: S606  # a shell would change nothing


if __name__ == "__main__":
    main()
