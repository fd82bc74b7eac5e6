"""The state folder when the card does not take files: its lock, and where the socket is then.

A card that is read-only, full or owned by another user must not make a mute machine: the agent then
holds its lock on what is there, listens in a folder of the system's memory, and says what it misses.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

from agent.local import SOCKET_NAME
from base.files import make_folder

LOCK_NAME = "agent.lock"
# Of the systemd unit (RuntimeDirectory=).
RUN_FOLDER = Path("/run/story-agent")


class AgentBusyError(RuntimeError):
    """Another agent uses this state folder."""


def usable_state(state: Path) -> tuple[Path, str | None]:
    """Return the state folder, made if there is none, and why it is another one than ``state``.

    One that we may not look into, or that the card does not take, is replaced by one in memory.

    Raises:
        OSError: ``state`` is no folder, or its parent is none: the command line is at fault.
    """
    try:
        make_folder(state, mode=0o750)
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.ENOSPC, errno.EIO, errno.EACCES, errno.EPERM}:
            raise
        return _memory_state(state), f"state folder {state}: {error.strerror}"
    if not os.access(state, os.R_OK | os.X_OK):
        return _memory_state(state), f"state folder {state}: {os.strerror(errno.EACCES)}"
    return state, None


def _memory_state(state: Path) -> Path:
    folder = _memory_folder() / _name(state)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextlib.contextmanager
def state_lock(state: Path) -> Iterator[str | None]:
    """Lock the state folder; yields why nothing can be written there, None if that can.

    Raises:
        AgentBusyError: another process has locked it.
        OSError: there is no folder at all that could hold a lock.
    """
    descriptor, fault = _open_lock(state)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise AgentBusyError(f"another agent runs on the state folder {state}") from error
    try:
        yield fault
    finally:
        os.close(descriptor)


def _open_lock(state: Path) -> tuple[int, str | None]:
    """Open what to lock: the lock file, else whatever is in its place, else the folder."""
    flags = os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(state / LOCK_NAME, os.O_RDWR | os.O_CREAT | flags, 0o600), None
    except OSError as error:
        fault = f"state folder {state}: {LOCK_NAME}: {error.strerror}"
    for path in (state / LOCK_NAME, state):
        with contextlib.suppress(OSError):
            return os.open(path, os.O_RDONLY | flags), fault
    raise OSError(fault)


def socket_to_bind(state: Path) -> Path:
    """Return where to make the agent's socket: in the state folder, else in memory.

    Raises:
        OSError: no folder takes it.
    """
    probe = state / f".{SOCKET_NAME}.probe"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        probe.unlink()
        is_free = not (state / SOCKET_NAME).is_dir()
    except OSError:
        is_free = False
    if not is_free:
        return _memory_folder() / f"{_name(state)}.sock"
    return state / SOCKET_NAME


def socket_to_ask(state: Path) -> Path:
    """Return the socket of the agent that runs on ``state``; in the state folder if none does.

    One that a power cut left on a card that has become read-only cannot be removed, and nobody listens at it.
    """
    usual = state / SOCKET_NAME
    in_memory = _socket_in_memory(state)
    if in_memory is None or (_is_socket(usual) and not _is_left(usual)):
        return usual
    return in_memory


def _socket_in_memory(state: Path) -> Path | None:
    name = _name(state)
    for folder in _memory_folders():
        for path in (folder / f"{name}.sock", folder / name / SOCKET_NAME):
            if _is_safe(folder) and _is_socket(path):
                return path
    return None


def _is_left(path: Path) -> bool:
    """Return whether nobody listens at a socket."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(1.0)
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:  # busy, or not ours: who asks is told so
            return False
    return False


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:  # none there, or a folder that we may not read
        return False


def _name(state: Path) -> str:
    """Return a name of a state folder that fits a socket's path."""
    # pathlib raises RuntimeError for links in a circle, before Python 3.13.
    return f"agent-{zlib.crc32(os.fsencode(os.path.realpath(state))):08x}"


def _memory_folders() -> list[Path]:
    """Return the folders to try: the unit's, the session's, and one in the folder of temp files."""
    told = [os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0], str(RUN_FOLDER)]
    if session := os.environ.get("XDG_RUNTIME_DIR"):
        told.append(f"{session}/story-agent")
    folder = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108  # `_is_safe` checks whose it is
    told.append(f"{folder}/story-agent-{os.geteuid()}")
    return [Path(path) for path in told if path]


def _memory_folder() -> Path:
    for folder in _memory_folders():
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            if _is_safe(folder) and os.access(folder, os.W_OK):
                return folder
    raise OSError(f"none of {', '.join(map(str, _memory_folders()))} can be written")


def _is_safe(folder: Path) -> bool:
    """Return whether nobody else can put a socket there: a stranger could answer in our name."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    trusted = {0, os.geteuid()} if folder != RUN_FOLDER else {found.st_uid}
    return stat.S_ISDIR(found.st_mode) and found.st_uid in trusted and not found.st_mode & 0o022
