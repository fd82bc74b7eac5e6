"""What `agent.bench_helper` does to a machine beside its agent's process: its disk, its clock and its sound server.

Each touches nothing that is not the bench's alone, and says otherwise why not and what to do. The disk's and the
clock's end by themselves should the helper be killed: a file without a name goes with the process that has it open, a
child makes the disk writable again when its pipe ends, and the clock's file says until when it counts.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from agent.words import Words, say

# A bench's disk: a larger one is somebody's, whatever else is said of it.
DISK_MAX = 8 * 1024**3
# The least that is asked for: a block of the file systems of cards.
BLOCK = 4096
# The agent's variable that names the file which tools/bench_clock.c reads.
CLOCK_VARIABLE = "STORY_BENCH_CLOCK"
CLOCK_FILE = struct.Struct("=qq")
SOUND_VARIABLE = "PULSE_SERVER"
SOUND_PROGRAMS = {"pulseaudio", "pipewire-pulse"}
CREDENTIALS = struct.Struct("3i")
# Seconds for a killed process to let go of its files, and for one call of mount.
REMOUNT_SECONDS, MOUNT_SECONDS = 3.0, 10.0
_MOUNTS = Path("/proc/self/mountinfo")


class RefusedError(Exception):
    """The helper does not do it; the message says why, and what would help."""


def refused(zh: str, en: str) -> RefusedError:
    """Return the refusal in the reader's language."""
    return RefusedError(say(Words(zh, en)))


def environment_of(process: int) -> dict[str, str]:
    """Return the variables that a process was started with; raises RefusedError."""
    try:
        told = Path(f"/proc/{process}/environ").read_bytes()
    except OSError as error:
        raise refused(
            f"进程 {process} 的环境读不到（{error.strerror}）：让 bench-helper 与它同一用户运行",
            f"the variables of process {process} cannot be read ({error.strerror}): run bench-helper as its user",
        ) from error
    pairs = (os.fsdecode(each).partition("=") for each in told.split(b"\0"))
    return {name: value for name, sign, value in pairs if sign}


def _own_disk(state: Path) -> Path:
    """Return the place of a state folder that is a small file system of its own; raises RefusedError."""
    place = Path(os.path.realpath(state))
    check_own_disk(place, _MOUNTS.read_text(errors="surrogateescape"))
    found = os.statvfs(place)
    size = found.f_blocks * found.f_frsize
    if size > DISK_MAX:
        raise refused(
            f"{place} 有 {size // 1024**2} MiB，台架的磁盘至多 {DISK_MAX // 1024**2} MiB",
            f"{place} has {size // 1024**2} MiB: a bench's disk has at most {DISK_MAX // 1024**2}",
        )
    return place


def check_own_disk(state: Path, mounts: str) -> None:
    """Refuse to fill what others use too.

    Args:
        state: the state folder, an absolute path without links.
        mounts: the content of /proc/self/mountinfo (proc(5)).

    Raises:
        RefusedError: the folder is not a whole file system that is mounted there alone.
    """
    rows = [row for row in (line.split() for line in mounts.splitlines()) if len(row) > 4]
    # The last mount on a place is the one that is seen there.
    own = next((row for row in reversed(rows) if _place(row[4]) == str(state)), None)
    if own is None or own[3] != "/" or sum(row[2] == own[2] for row in rows) > 1:
        raise refused(
            f"{state} 不是单独的文件系统，装满它会装满别人也用的磁盘。先停代理，再 "
            f"mount -t tmpfs -o size=128M,mode=700,uid=$(id -u) bench {state}；make run 以 root 运行时自己会做",
            f"{state} is no file system of its own: to fill it would fill a disk that others use. Stop the agent, then "
            f"mount -t tmpfs -o size=128M,mode=700,uid=$(id -u) bench {state}; make run does it where root runs it",
        )


def _place(told: str) -> str:
    r"""Return the path in a field of mountinfo, where a blank is ``\040``."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        told = told.replace(code, character)
    return told


@contextlib.contextmanager
def full_disk(state: Path, left_kb: int) -> Iterator[str]:
    """Fill the file system of a state folder but for ``left_kb`` KiB while the context lasts; gives what to tell.

    Raises:
        RefusedError: the folder is no file system of its own, or cannot be filled.
    """
    place = _own_disk(state)
    found = os.statvfs(place)
    size = found.f_blocks * found.f_frsize
    try:
        # Without a name: it goes with this process, however that ends.
        descriptor = os.open(place, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError as error:
        raise refused(
            f"{place} 的文件系统不能装满：{error.strerror}",
            f"the file system of {place} cannot be filled: {error.strerror}",
        ) from error
    try:
        taken = fill(descriptor, size)
        os.truncate(descriptor, max(0, taken - left_kb * 1024))
        free = os.statvfs(place).f_bavail * found.f_frsize
        yield f"{place}: {taken // 1024} KiB were taken, {free // 1024} KiB are left"
    finally:
        os.close(descriptor)


def fill(descriptor: int, most: int) -> int:
    """Give a file all the room that there is, at most ``most`` bytes; return how many."""
    taken, step = 0, most
    while (step := min(step, most - taken)) > 0:
        try:
            os.posix_fallocate(descriptor, taken, step)
            taken += step
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise
            if step <= BLOCK:
                break
            step //= 2
    return taken


@contextlib.contextmanager
def read_only_disk(state: Path, process: int) -> Iterator[str]:
    """Kill an agent, and let it start on a disk that can only be read while the context lasts; gives what to tell.

    The kernel refuses it while a file is open for writing, so the agent must end first, as a machine does whose card fails.

    Raises:
        RefusedError: the folder is no file system of its own, or this process may not mount.
    """
    place = _own_disk(state)
    _remount(place, "rw")  # whether it may at all
    # Ends with this process, however that ends: its pipe is then at its end.
    words: list[str | Path] = ["sh", "-c", 'read -r _; exec mount -o remount,rw "$0"', place]
    guard = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603  # the bench's own mount
    try:
        os.kill(process, signal.SIGKILL)
        end = time.monotonic() + REMOUNT_SECONDS
        while True:
            try:
                _remount(place, "ro")
                break
            except RefusedError:  # the process has not ended yet, or is there again
                if time.monotonic() > end:
                    raise
            time.sleep(0.01)
        yield f"process {process} was killed, and {place} can only be read"
    finally:
        guard.communicate(timeout=MOUNT_SECONDS)


def _remount(place: Path, how: str) -> None:
    words: list[str | Path] = ["mount", "-o", f"remount,{how}", place]
    try:
        done = subprocess.run(  # noqa: S603  # the bench's own mount
            words, capture_output=True, text=True, timeout=MOUNT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise refused(f"mount：{error}", f"mount: {error}") from error
    if done.returncode:
        why = done.stderr.strip().splitlines()[:1]
        raise refused(
            f"{place} 不能重新挂载（bench-helper 要以 root 运行）：{why}",
            f"{place} cannot be mounted anew (run bench-helper as root): {why}",
        )


@contextlib.contextmanager
def wrong_clock(process: int, minutes: int, seconds: int) -> Iterator[str]:
    """Tell one process a wrong time of day while the context lasts, and for ``seconds`` at most; gives what to tell.

    Raises:
        RefusedError: the process was not started with a clock of the bench's own.
    """
    name = environment_of(process).get(CLOCK_VARIABLE, "")
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise refused(
            "这个代理没有台架的时钟，而机器的时钟是所有程序共有的：按 tools/bench_clock.c 开头的两行重新启动代理；"
            "make run 在有 C 编译器（apt install gcc libc6-dev）时自己会做",
            "this agent was not started with the bench's clock, and the machine's is everybody's: start it anew with the "
            "two lines at the head of tools/bench_clock.c; make run does it where there is a C compiler "
            "(apt install gcc libc6-dev)",
        ) from error
    try:
        until = int((time.monotonic() + seconds) * 1000)
        os.pwrite(descriptor, CLOCK_FILE.pack(minutes * 60_000, until), 0)
        yield f"the clock of process {process} is wrong by {minutes} minutes"
    finally:
        os.pwrite(descriptor, CLOCK_FILE.pack(0, 0), 0)
        os.close(descriptor)


def check_own_sound(process: int, *, own: bool) -> Path:
    """Return the socket of the sound server that an agent uses, if the bench may kill that.

    Args:
        process: the agent.
        own: whether who started the helper said that the server is the bench's.

    Raises:
        RefusedError: it is not, or the agent was not told which it is.
    """
    told = environment_of(process).get(SOUND_VARIABLE, "")
    if not own or not told.startswith("unix:"):
        raise refused(
            "这个代理用的声音服务器不是台架自己的：别的程序也用它。给代理一个自己的（PULSE_SERVER=unix:…），"
            "再以 --own-sound 启动 bench-helper；make run 在没有会话声音服务器的机器上自己会做",
            "the sound server of this agent is not the bench's own: others use it. Give the agent one of its own "
            "(PULSE_SERVER=unix:…), and start bench-helper with --own-sound; make run does it where no session has a server",
        )
    return Path(told.removeprefix("unix:"))


def kill_listener(place: Path) -> int | None:
    """Kill the sound server that listens on a socket; return its process, None if nobody listens.

    Raises:
        RefusedError: a program listens that is no sound server.
    """
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(1.0)
        try:
            asking.connect(str(place))
        except OSError:
            return None
        told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    process = int(CREDENTIALS.unpack(told)[0])
    with contextlib.suppress(OSError):
        name = Path(f"/proc/{process}/comm").read_text().strip()
        if name not in SOUND_PROGRAMS:
            raise refused(
                f"{place} 上的程序是 {name}，不是声音服务器",
                f"the program at {place} is {name}, no sound server",
            )
        os.kill(process, signal.SIGKILL)
        return process
    return None
