"""Set-up mode: what the agent does while it has no profile, or none that it can use.

One process waits, so systemd has nothing to restart. Its socket is up, ``story-agent status`` says what is waited
for, and what to do. When the file is there the agent starts anew by itself. A version on trial does not wait: it
may be the one that does not understand the profile, and its repeated starts lead back to the version before.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.first.profile_file import FaultToMend, ProfileFault
from agent.local.sockets import ServerOnDemand, unix_socket
from agent.settings import SettingsError
from agent.state import socket_to_bind, state_lock
from agent.systemd import ServiceManager
from agent.words import Words
from ota.launch import boot
from ota.launch.running import running_release

if TYPE_CHECKING:
    from agent.local.server import LocalServer

# Seconds between two looks at the files: one system call each.
POLL_SECONDS = 1.0
LINK_STATE = "setup"
"""The link's state in ``status``, beside those of `agent.link.LinkState`."""

_log = logging.getLogger(__name__)

Read = Callable[[], object]
"""Reads profile and settings; raises SettingsError while they cannot be used."""


def is_on_trial(state: Path) -> bool:
    """Return whether the version that runs has yet to prove itself."""
    try:
        return boot.load(state).trial is not None
    except (boot.BootRecordError, OSError, UnicodeDecodeError):
        return False


def words_of(fault: SettingsError) -> tuple[Words, Words]:
    """Return cause and remedy of what is wrong."""
    if isinstance(fault, FaultToMend):
        return fault.cause, fault.remedy
    from agent.words.causes import explain  # noqa: PLC0415  # once in a start that waits

    told = explain(str(fault))
    return (
        Words(f"设置不能用：{told.zh}", f"the settings cannot be used: {told.en}"),
        Words("改正这一项，代理会自己继续", "mend this member; the agent goes on by itself"),
    )


def waits_for(fault: SettingsError) -> str:
    """Return what is to be mended: ``profile``, ``reset`` (one that was broken off) or ``settings``."""
    if isinstance(fault, ProfileFault):
        return "profile"
    return "reset" if isinstance(fault, FaultToMend) else "settings"


def setup_status(fault: SettingsError, file: Path, version: str) -> dict[str, object]:
    """Return what ``status`` tells of a machine that waits; there is no uuid yet, and no secret."""
    cause, remedy = words_of(fault)
    return {
        "version": version,
        "code": str(running_release().folder),
        "uuid": None,
        "setup": {
            "waits_for": waits_for(fault),
            "file": str(file),
            "cause": cause._asdict(),
            "remedy": remedy._asdict(),
        },
        "link": {"state": LINK_STATE, "last_error": cause.en, "remedy": remedy.en},
    }


Signature = tuple[int, ...] | None
"""What a file is by its entry: changes with its content, its mode and its owner."""


def signature(path: Path) -> Signature:
    """Return what changes when somebody has written, replaced or opened up a file; None: it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (
        found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns, found.st_mode, found.st_uid, found.st_gid,
    )  # fmt: skip


class Waiting:
    """Decides when files are worth another try: after a change, once they have stood still for one look."""

    def __init__(self, now: Sequence[Signature]) -> None:
        """Begin with files that were judged as they are ``now``."""
        self._judged = tuple(now)
        self._before = self._judged

    def look(self, now: Sequence[Signature]) -> bool:
        """Take the files' signatures; return whether to try them."""
        before, self._before = self._before, tuple(now)
        if self._before in (self._judged, ()) or self._before != before:
            return False
        self._judged = self._before
        return True


class SetupMode:
    """Waits for files that can be used; `run` it once."""

    def __init__(
        self,
        state: Path,
        files: Mapping[str, Path],
        read: Read,
        version: str,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Wait for the change of ``files`` after which ``read`` raises nothing.

        ``files`` are by what `waits_for` calls them.
        """
        self._state = state
        self._files = files
        self._read = read
        self._version = version
        self._poll_seconds = poll_seconds
        self._service = ServiceManager()
        self._ended = asyncio.Event()
        self._fault: SettingsError | None = None
        self._is_ready = False

    async def run(self) -> bool:
        """Wait; return whether the files can be used now, False after SIGTERM or SIGINT.

        Raises:
            AgentBusyError, LocalAccessError, OSError: the agent cannot start.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)
        # Before the first try, so that a change during it is seen.
        waiting = Waiting(self._signatures())
        with state_lock(self._state):
            if self._try():
                return True
            with unix_socket(socket_to_bind(self._state)) as bound:
                server = ServerOnDemand(self._make_server)
                serving = asyncio.create_task(server.serve([bound]))
                pinging = asyncio.create_task(self._service.feed_watchdog())
                self._service.ready()
                try:
                    await self._wait(waiting)
                finally:
                    pinging.cancel()
                    server.stop()
                    await serving
        return self._is_ready

    async def _wait(self, waiting: Waiting) -> None:
        while not self._ended.is_set():
            try:
                async with asyncio.timeout(self._poll_seconds):
                    await self._ended.wait()
            except TimeoutError:
                if waiting.look(self._signatures()) and self._try():
                    return

    def _signatures(self) -> list[Signature]:
        return [signature(path) for path in self._files.values()]

    def _try(self) -> bool:
        """Read the files; say what is wrong whenever that is another thing than before."""
        try:
            self._read()
        except SettingsError as fault:
            if str(fault) != str(self._fault):
                _, remedy = words_of(fault)
                _log.warning("set-up mode: %s; %s", fault, remedy.en, extra={"event": "setup"})
                self._service.notify(f"STATUS=waits for {waits_for(fault)}: {remedy.en}")
            self._fault = fault
            return False
        _log.info("set-up mode: the files can be used; the agent starts")
        self._is_ready = True
        return True

    def status(self) -> dict[str, object]:
        """Return what is waited for."""
        from agent.first.import_note import load_note  # noqa: PLC0415  # no start needs it

        fault = self._fault or SettingsError("")
        told = setup_status(fault, self._files[waits_for(fault)], self._version)
        return {**told, "import": load_note(self._state)}

    def _make_server(self) -> LocalServer:
        from agent.first.setup_api import setup_server  # noqa: PLC0415  # see agent.local.sockets

        return setup_server(self.status)


def waits(state: Path, fault: SettingsError) -> bool:
    """Return whether a start with ``fault`` waits for a person, rather than ends with an exit code.

    Wrong settings end a start by hand: whoever typed the command sees them. systemd would only start the agent
    again, every 3 seconds for ever.
    """
    if is_on_trial(state):
        return False
    return isinstance(fault, FaultToMend) or "NOTIFY_SOCKET" in os.environ
