"""Changes of folders and of the mount table, as the kernel tells them: inotify(7) and proc(5).

Nothing waits here: who wants to know asks, and gets what has happened since. inotify is called
through ctypes, because Python's standard library has no binding for it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import select
import struct
import weakref
from collections.abc import Iterator

MOUNT_TABLE = "/proc/self/mountinfo"

# linux/inotify.h
IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_UNMOUNT = 0x2000
IN_Q_OVERFLOW = 0x4000
IN_ONLYDIR = 0x1000000
IN_DONT_FOLLOW = 0x2000000
_WATCHED = (
    IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
    | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW
)  # fmt: skip
_EVENT = struct.Struct("iIII")
_BUFFER = 64 * 1024
_OCTAL = re.compile(rb"\\([0-7]{3})")


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class FolderWatch:
    """Folders that are watched for files and folders that come, go, are written or change mode."""

    def __init__(self) -> None:
        """Watch nothing yet; raises OSError if the kernel grants no inotify instance."""
        descriptor = _checked(_libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._descriptor = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)

    def add(self, folder: bytes) -> int:
        """Watch a folder (not those below it) and return its number.

        Raises:
            OSError: it is no folder or unreadable (ENOTDIR, ENOENT, EACCES), or the user has too
                many watches (ENOSPC).
        """
        return _checked(_libc().inotify_add_watch(self._descriptor, folder, _WATCHED))

    def remove(self, number: int) -> None:
        """Watch a folder no longer; does nothing if its watch has ended."""
        _libc().inotify_rm_watch(self._descriptor, number)

    def changes(self) -> set[int] | None:
        """Return the numbers of the folders that changed since the last call; it does not wait.

        None: events were lost or a file system was unmounted, so anything may have changed.
        """
        changed: set[int] = set()
        whole = True
        while data := self._read():
            for number, mask in parse_events(data):
                changed.add(number)
                whole = whole and not mask & (IN_Q_OVERFLOW | IN_UNMOUNT)
        return changed if whole else None

    def close(self) -> None:
        """End all watches."""
        self._close()

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _BUFFER)
        except BlockingIOError:
            return b""


def parse_events(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the watch's number and the mask of each event that the kernel wrote (inotify(7))."""
    place = 0
    while place < len(data):
        number, mask, _cookie, length = _EVENT.unpack_from(data, place)
        yield number, mask
        place += _EVENT.size + length


class MountWatch:
    """Tells whether something was mounted or unmounted; a card that is swapped is both."""

    def __init__(self) -> None:
        """Count from now; raises OSError where there is no /proc."""
        descriptor = os.open(MOUNT_TABLE, os.O_RDONLY | os.O_CLOEXEC)
        self._close = weakref.finalize(self, os.close, descriptor)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLERR | select.POLLPRI)

    def changed(self) -> bool:
        """Return whether anything in the mount table changed since the last call; it does not wait."""
        return bool(self._poll.poll(0))

    @staticmethod
    def around(folder: bytes) -> list[bytes]:
        """Return the mount table's lines on what is mounted above, at or below ``folder``."""
        with open(MOUNT_TABLE, "rb") as table:  # noqa: PTH123  # as os.open above
            return mounts_around(table.read(), folder)

    def close(self) -> None:
        """Watch no longer."""
        self._close()


def mounts_around(table: bytes, folder: bytes) -> list[bytes]:
    """Return the lines of a mount table (proc(5)) on what is mounted above, at or below ``folder``."""
    inside = folder.rstrip(b"/") + b"/"
    found = []
    for line in table.splitlines():
        # A blank in a path is written \\040.
        point = _OCTAL.sub(lambda code: bytes([int(code[1], 8)]), line.split(b" ")[4]) + b"/"
        if inside.startswith(point.replace(b"//", b"/")) or point.startswith(inside):
            found.append(line)
    return found


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
