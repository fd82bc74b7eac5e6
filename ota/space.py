"""Of what a disk has too little: bytes, files (inodes), or the share of the agent's user."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ota.errors import NoSpaceError

# With fewer the file system is as good as full of files: an update needs folders and temporary files.
INODES_LEAST = 16


def free_bytes(folder: Path) -> int:
    """Return the bytes that the agent's user may still write on a folder's disk; raises OSError."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def no_space(folder: Path, needs: int, has: int, cause: OSError | None = None) -> NoSpaceError:
    """Return the error for a disk that does not take an update.

    Args:
        folder: a folder of the disk.
        needs: the bytes that are needed.
        has: the bytes that are free.
        cause: what the system said; None: the bytes were compared beforehand.
    """
    if cause is not None and cause.errno == errno.EDQUOT:
        return NoSpaceError(
            f"no space: the quota of the agent's user is used up; needs {needs} bytes"
        )
    if cause is not None and (text := inodes_used_up(folder)) is not None:
        return NoSpaceError(f"no space: {text}; of bytes it needs {needs} and has {has}")
    return NoSpaceError(f"no space: needs {needs} bytes, has {has}")


def inodes_used_up(folder: Path) -> str | None:
    """Return what to say of a disk that takes no more files, however many bytes it has; None: it takes some."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    if not disk.f_files or disk.f_favail >= INODES_LEAST:  # some file systems do not count files
        return None
    return f"the disk takes no more files ({disk.f_favail} of {disk.f_files} inodes are free): delete some"


def describe_full(error: OSError, folder: Path) -> str:
    """Return an error of the disk's for a message, with the inodes if they are what is used up."""
    if error.errno == errno.ENOSPC and (text := inodes_used_up(folder)) is not None:
        return text
    return str(error)
