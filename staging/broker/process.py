"""Runs mosquitto, Debian's MQTT broker, as a child of this process."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import pwd
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

from base.files import write_atomically
from staging.broker.settings import (
    ACCESS,
    ACL,
    CONFIG,
    PASSWORDS,
    Listeners,
    TlsFiles,
    render_config,
    render_passwords,
)
from staging.errors import StagingError

# Debian installs it where an unprivileged user's PATH does not look.
_PLACES = ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto")
# Seconds. It listens after some 20 ms; a busy small machine takes longer.
START_TIMEOUT = 15.0
STOP_TIMEOUT = 3.0
_POLL_SECONDS = 0.02
_PR_SET_PDEATHSIG = 1

_log = logging.getLogger(__name__)


class BrokerError(StagingError):
    """The broker cannot be started, or has ended."""


class Mosquitto:
    """One broker with its files in one folder."""

    def __init__(self, folder: Path, listeners: Listeners, files: TlsFiles) -> None:
        """Prepare; ``folder`` is made and holds configuration, passwords and the access list."""
        self._folder = folder
        self.listeners = listeners
        self._files = files
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, users: Mapping[str, str]) -> None:
        """Start with these users and passwords; returns when it listens. Raises BrokerError."""
        await asyncio.to_thread(self._write_files, users)
        program = find_program()
        # Of this run only: the file would grow as long as the cloud is used.
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                program,
                "-c",
                self._folder / CONFIG,
                stdin=asyncio.subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # one thread calls it, and no lock is held
            )
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._wait_listening()
        except TimeoutError as error:
            await self.stop()
            raise BrokerError(f"mosquitto does not listen within {START_TIMEOUT:g} s") from error
        _log.info("mosquitto listens on port %d", self.listeners.port)

    def _write_files(self, users: Mapping[str, str]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        user = pwd.getpwuid(os.getuid()).pw_name
        config = render_config(self._folder, self.listeners, self._files, user)
        for name, text in (
            (CONFIG, config),
            (ACL, ACCESS),
            (PASSWORDS, render_passwords(users)),
        ):
            write_atomically(self._folder / name, text.encode(), mode=0o600)

    async def _wait_listening(self) -> None:
        process = self._process
        while process is not None and not await _listens(self.listeners.workers_port):
            if process.returncode is not None:
                where = f"mosquitto on port {self.listeners.port}"
                raise BrokerError(f"{where} ended with {process.returncode}: {self._last_line()}")
            await asyncio.sleep(_POLL_SECONDS)

    def _last_line(self) -> str:
        lines = (self._folder / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "(no output)"

    async def admit(self, users: Mapping[str, str]) -> None:
        """Let exactly these users log in from now on; connections that are open stay."""
        text = await asyncio.to_thread(render_passwords, users)
        await asyncio.to_thread(
            write_atomically, self._folder / PASSWORDS, text.encode(), mode=0o600
        )
        self.reload()

    def reload(self) -> None:
        """Have the broker read users and certificates again."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    async def ended(self) -> str:
        """Wait for the broker's end; returns how it ended."""
        if self._process is None:
            return "not started"
        return f"mosquitto ended with {await self._process.wait()}: {self._last_line()}"

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the broker."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def find_program() -> str:
    """Return mosquitto's path; raises BrokerError that says what to install."""
    found = shutil.which("mosquitto") or next((p for p in _PLACES if os.access(p, os.X_OK)), None)
    if found is None:
        raise BrokerError("mosquitto is missing: apt-get install mosquitto (make setup does)")
    return found


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _die_with_parent() -> None:
    """Request SIGTERM on the parent's death (prctl(2)), so that its kill -9 leaves no broker."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
