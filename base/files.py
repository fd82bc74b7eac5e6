"""File writes that survive a power cut: temp file, fsync, rename, fsync of the folder.

Every record that must survive is written by `write_atomically`. This module imports the standard
library only, and none of ours: `ota.launch` uses it before anything else may load.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

# Bytes of the largest record; a damaged file system may tell of any size.
RECORD_LIMIT = 8 * 1024 * 1024
# Bytes of a file with certificates or a key.
PEM_LIMIT = 1024 * 1024
# Folders that this process has made, or has synced in the one above them; so many are remembered.
_settled: set[Path] = set()
SETTLED_MAX = 1000
# A folder that we did not make may be in one that we may not read, or that cannot be synced (fsync(2)).
_NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.EROFS})


def write_atomically(
    path: Path, data: bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None
) -> None:
    """Replace ``path`` by ``data``; after a crash it holds either the old bytes or the new ones.

    ``owner`` is the numbers of user and group; None: those of this process. One writer at a time: the temp file has a fixed name, so that crashes do not pile up temp files.

    Raises:
        OSError: nothing was replaced.
    """
    with Replacement(path, mode=mode, owner=owner) as file:
        file.write(data)


def read_record(path: Path, limit: int = RECORD_LIMIT) -> bytes:
    """Return the bytes of a record, which is a regular file; never waits for a pipe under its name.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than ``limit`` bytes.
    """
    return _read(path, limit, takes_pipes=False)


def read_given(path: Path, limit: int = RECORD_LIMIT) -> bytes:
    """Return the bytes of a file that a person named, which may be a pipe (``say <(sox …)``), but no device without an end.

    What is in a pipe is awaited as long as somebody has it open for writing.

    Raises:
        OSError: it cannot be read, is neither a file nor a pipe, or has more than ``limit`` bytes.
    """
    return _read(path, limit, takes_pipes=True)


def _read(path: Path, limit: int, *, takes_pipes: bool) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind) and takes_pipes:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not (stat.S_ISREG(kind) or (stat.S_ISFIFO(kind) and takes_pipes)):
            raise OSError(errno.EINVAL, "no regular file", str(path))
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"more than {limit} bytes", str(path))
    return data


class Replacement:
    """A temp file next to ``path``; leaving the block without an error moves it there, durable."""

    def __init__(
        self, path: Path, *, mode: int = 0o644, owner: tuple[int, int] | None = None
    ) -> None:
        """Prepare to replace ``path`` with a file of permissions ``mode``, and of ``owner`` if it is given."""
        self._owner = owner
        self._path = path
        self._temp = path.with_name(f".{path.name}.tmp")
        self._mode = mode

    def __enter__(self) -> Self:
        _refuse_device(self._path)
        self._temp.unlink(missing_ok=True)
        try:
            descriptor = os.open(self._temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._mode)
        except OSError as error:
            raise self._named(error) from error
        os.fchmod(descriptor, self._mode)  # regardless of the umask
        self._file = os.fdopen(descriptor, "wb")
        if self._owner is not None:
            try:
                os.fchown(descriptor, *self._owner)
            except OSError:
                self._file.close()
                self._temp.unlink(missing_ok=True)
                raise
        return self

    def write(self, data: bytes) -> None:
        """Append to the new content."""
        try:
            self._file.write(data)
        except OSError as error:
            raise self._named(error) from error

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            with self._file:
                if error is None:
                    self._file.flush()
                    os.fsync(self._file.fileno())
            if error is None:
                self._temp.replace(self._path)
        except OSError as fault:
            raise self._named(fault) from fault
        finally:
            # Only after an error: once replaced, the temp name may belong to the next writer.
            if error is not None or sys.exception() is not None:
                self._temp.unlink(missing_ok=True)
        if error is None:
            fsync_path(self._path.parent)

    def _named(self, error: OSError) -> OSError:
        """Return the error with the path's name: it has none (a full disk), or the temp file's, which says nothing."""
        return OSError(error.errno, error.strerror, str(self._path))


def _refuse_device(path: Path) -> None:
    """Raise OSError if ``path`` is a device, or leads to one or to a pipe: root would replace /dev/stdout by a file."""
    try:
        found = path.stat().st_mode
    except OSError:  # there is none; what else is wrong the writing says
        return
    is_device = stat.S_ISCHR(found) or stat.S_ISBLK(found)
    if is_device or (path.is_symlink() and not stat.S_ISREG(found)):
        raise OSError(errno.EINVAL, "no regular file", str(path))


def replace_symlink(link: Path, target: str | None) -> None:
    """Point ``link`` at ``target`` atomically and durably; None removes it."""
    if target is None:
        link.unlink(missing_ok=True)
    else:
        temp = link.with_name(f".{link.name}.tmp")
        temp.unlink(missing_ok=True)
        temp.symlink_to(target)
        temp.replace(link)
    fsync_path(link.parent)


def make_folder(folder: Path, *, mode: int = 0o755) -> None:
    """Create ``folder`` and its parents durably; ``mode`` is of ``folder`` alone, and narrowed by the umask.

    Without one, others may look into it and change nothing in it, whatever the umask is.

    One that is there is synced in the one above it as well, once in each process: whoever made it may have been killed
    before that, and a power cut would take it with all that is in it.

    Raises:
        OSError: it cannot be made or synced, or is no folder.
    """
    line = (folder, *folder.parents)
    missing = [path for path in line if not path.exists()]
    _settle(line[min(len(missing), len(line) - 1)])
    # One by one: of those that a kill leaves, the last alone is not synced.
    try:
        for path in reversed(missing):
            path.mkdir(mode=mode if path == folder else 0o755, exist_ok=True)
            fsync_path(path.parent)
            _note_settled(path)
        folder.mkdir(exist_ok=True)  # raises if it is a file
    except FileExistsError as error:  # of "File exists" nobody learns what was expected
        reason = os.strerror(errno.ENOTDIR)
        raise NotADirectoryError(errno.ENOTDIR, reason, error.filename) from error


def _settle(folder: Path) -> None:
    if folder in _settled:
        return
    try:
        fsync_path(folder.parent)
    except OSError as error:
        if error.errno not in _NOT_OURS:
            raise
    else:
        _note_settled(folder)


def _note_settled(folder: Path) -> None:
    if len(_settled) >= SETTLED_MAX:
        _settled.clear()  # each is synced once more
    _settled.add(folder)


def fsync_path(path: Path) -> None:
    """Flush one file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(folder: Path) -> None:
    """Flush ``folder`` and all files and folders under it to the disk."""
    for path in _walk(folder):
        fsync_path(path)


def _walk(folder: Path) -> Iterator[Path]:
    for base, _folders, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(base, name)
            if not path.is_symlink():  # a link is part of its folder, which is yielded below
                yield path
        yield Path(base)
