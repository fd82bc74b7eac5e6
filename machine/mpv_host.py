"""Where mpv runs: a child of the agent, or a unit of systemd with a user of its own.

Both get one end of a socket pair for their orders. The unit is started by a connection to its socket
(machine/mpv_launcher.py), so that the agent needs no right to start or to kill it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from machine.errors import UnavailableError
from machine.mpv_options import build_command, build_environment, build_options

UNIT_SOCKET = Path("/run/story-player/mpv.sock")
# The agent's own folders are not the unit's.
_ITS_OWN = frozenset({"HOME", "PATH", "TMPDIR"})

_log = logging.getLogger(__name__)


class Host(Protocol):
    """A running mpv."""

    label: str
    """For people."""
    pid: int | None
    """The process id, None if only mpv itself knows it."""

    def kill(self) -> None:
        """End it at once."""

    async def wait(self) -> None:
        """Wait until it has ended."""


class Child:
    """A child process."""

    label = "mpv"

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Use `start`."""
        self._process = process
        self.pid: int | None = process.pid

    @classmethod
    async def start(cls, program: Sequence[str], theirs: socket.socket) -> Child:
        """Start ``program``; raises UnavailableError."""
        try:
            process = await asyncio.create_subprocess_exec(
                *build_command(program, theirs.fileno(), build_options()),
                pass_fds=[theirs.fileno()],
                env=build_environment(os.environ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the agent, which then closes mpv
            )
        except OSError as error:
            raise UnavailableError(f"play: mpv cannot be started: {error.strerror}") from error
        return cls(process)

    def kill(self) -> None:
        """Send SIGKILL."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def wait(self) -> None:
        """Reap it."""
        await self._process.wait()


class Unit:
    """An instance of story-player@.service; the connection that started it is its leash."""

    label = "mpv of story-player.socket"

    def __init__(self, leash: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Use `start`."""
        self._reader, self._writer = leash
        self.pid: int | None = None

    @classmethod
    async def start(cls, path: Path, theirs: socket.socket) -> Unit:
        """Connect to ``path``, and hand over mpv's end of the socket pair; raises OSError."""
        leash = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            leash.setblocking(False)
            leash.connect(str(path))  # to a socket of this machine: done or refused at once
            environment = build_environment(os.environ)
            order = {
                "options": build_options(),
                "environment": {k: v for k, v in environment.items() if k not in _ITS_OWN},
            }
            socket.send_fds(leash, [json.dumps(order).encode() + b"\n"], [theirs.fileno()])
            return cls(await asyncio.open_unix_connection(sock=leash))
        except BaseException:
            leash.close()
            raise

    def kill(self) -> None:
        """Write to the leash: the kernel then kills mpv."""
        if not self._writer.is_closing():
            self._writer.write(b"!")

    async def wait(self) -> None:
        """Wait until the other end is closed, which mpv held open."""
        with contextlib.suppress(OSError):
            await self._reader.read()
        self._writer.close()


async def start_host(program: Sequence[str], theirs: socket.socket, unit: Path) -> Host:
    """Start mpv in the unit whose socket is ``unit``, without one as a child.

    Raises:
        UnavailableError: it cannot be started.
    """
    try:
        return await Unit.start(unit, theirs)
    except FileNotFoundError:
        pass  # a bench, or a machine that was set up for an earlier version
    except OSError as error:
        _log.warning("play: %s: %s: the player runs as the agent's user", unit, error.strerror)
    if not program:
        raise UnavailableError("play: mpv is missing")
    return await Child.start(program, theirs)
