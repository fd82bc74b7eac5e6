"""SQLite's files by the calls of `tools.sim.calls`, so that each of its writes and syncs can be the last one.

SQLite itself is the real one: this is what it calls its VFS, registered as the default of the library that
Python's `sqlite3` uses. The write-ahead log's index is memory, as it is for SQLite with one process: a power
cut takes it. Locks are kept by file, for all connections of this process.
"""

from __future__ import annotations

import ctypes as c
import ctypes.util
import errno
import functools
import os
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.sim import sqlite_types as t
from tools.sim.calls import Calls, Mount
from tools.sim.life import Life, PowerCut, current

_JULIAN_UNIX = 210866760000000


@dataclass(eq=False, slots=True)
class Shared:
    """What the connections to one file have in common: locks, and the index of the log."""

    levels: dict[int, int] = field(default_factory=dict)
    regions: list[Any] = field(default_factory=list)
    slots: tuple[dict[int, bool], ...] = field(
        default_factory=lambda: tuple({} for _ in range(t.SHM_LOCKS_MAX))
    )
    """By slot: which files of connections hold it, and whether alone."""


@dataclass(eq=False, slots=True)
class Handle:
    """One open file of one connection."""

    descriptor: int
    path: str
    shared: Shared
    mount: Mount | None
    life: Life | None = None
    """The process that has it."""
    sync_folder: bool = False
    delete_on_close: bool = False
    is_temporary: bool = False


def guarded(work: Callable[..., int]) -> Callable[..., int]:
    """Turn what a call raises into SQLite's codes."""

    @functools.wraps(work)
    def call(*arguments: Any) -> int:
        try:
            return work(*arguments)
        except PowerCut:
            return t.IOERR
        except OSError as error:
            return {errno.ENOSPC: t.FULL, errno.EROFS: t.READONLY}.get(error.errno or 0, t.IOERR)
        except Exception:  # noqa: BLE001  # ctypes would print it and go on with 0, which is success
            return t.IOERR

    return call


class SqliteDisk:
    """The VFS; keep it for as long as the process lives."""

    def __init__(self, calls: Calls, rng: random.Random) -> None:
        """Register it; ``rng`` is SQLite's chance."""
        self._calls = calls
        self.rng = rng
        self._handles: dict[int, Handle] = {}
        """By the place of SQLite's own structure, which is kept until the file is closed."""
        self._shared: dict[object, Shared] = {}
        self._library = c.CDLL(_library())
        self._methods = self._make_methods()
        self._vfs = self._make_vfs()
        self._library.sqlite3_vfs_register.argtypes = [c.c_void_p, c.c_int]
        if self._library.sqlite3_vfs_register(c.byref(self._vfs), 1) != t.OK:
            raise RuntimeError("SQLite does not take the simulated disk")

    def _make_methods(self) -> t.Methods:
        made = {
            "version": 2, "close": t.CLOSE(guarded(self._close)), "read": t.READ(guarded(self._read)),
            "write": t.READ(guarded(self._write)), "truncate": t.TRUNCATE(guarded(self._truncate)),
            "sync": t.SYNC(guarded(self._sync)), "size": t.SIZE(guarded(self._size)),
            "lock": t.SYNC(guarded(self._lock)), "unlock": t.SYNC(guarded(self._unlock)),
            "check": t.CHECK(guarded(self._check)),
            "control": t.CONTROL(lambda *_: t.NOTFOUND), "sector": t.CLOSE(lambda _: 4096),
            "device": t.CLOSE(lambda _: t.IOCAP_POWERSAFE_OVERWRITE),
            "shm_map": t.SHM_MAP(guarded(self._shm_map)),
            "shm_lock": t.SHM_LOCKS(guarded(self._shm_lock)), "barrier": t.BARRIER(lambda _: None),
            "shm_unmap": t.SYNC(guarded(self._shm_unmap)),
        }  # fmt: skip
        return t.Methods(**made)

    def _make_vfs(self) -> t.Vfs:
        made = {
            "version": 2, "file_size": c.sizeof(t.File), "name_max": 512, "name": b"simulated",
            "open": t.OPEN(guarded(self._open)), "delete": t.DELETE(guarded(self._delete)),
            "access": t.ACCESS(guarded(self._access)),
            "full_name": t.FULL_NAME(guarded(self._full_name)),
            "random": t.RANDOM(guarded(self._random)), "sleep": t.SLEEP(lambda _, micro: micro),
            "time": t.TIME(guarded(self._time)), "last_error": t.RANDOM(lambda *_: 0),
            "time64": t.TIME64(guarded(self._time64)),
        }  # fmt: skip
        return t.Vfs(**made)

    def forget(self, mount: Mount, life: Life | None = None) -> None:
        """Let the connections of a dead machine, or of its process ``life``, hold nothing any more."""
        for file, handle in self._handles.items():
            if handle.mount is mount and (life is None or handle.life is life):
                self._release(handle, file)
                handle.shared = Shared()
                handle.life = (
                    None  # it holds all that it ever was, and this handle until that is let go
                )
        if life is not None:
            return
        for key in [key for key in self._shared if getattr(key, "mount", None) is mount]:
            del self._shared[key]

    # The file system.

    def _open(self, _vfs: Any, name: bytes | None, file: int, flags: int, out: Any) -> int:
        made = t.File.from_address(file)
        made.methods = None
        if name is None:
            descriptor, path = tempfile.mkstemp(prefix="sim-sqlite-")
            Path(path).unlink()
            handle = Handle(descriptor, path, Shared(), None, is_temporary=True)
        else:
            path = os.fsdecode(name)
            opened = self._open_named(path, flags)
            if opened is None:
                return t.CANTOPEN
            handle, flags = opened
        self._handles[file] = handle
        made.methods = c.addressof(self._methods)
        if out:
            out[0] = flags
        return t.OK

    def _open_named(self, path: str, flags: int) -> tuple[Handle, int] | None:
        wanted = os.O_RDWR if flags & t.OPEN_READWRITE else os.O_RDONLY
        wanted |= os.O_CREAT if flags & t.OPEN_CREATE else 0
        wanted |= os.O_EXCL if flags & t.OPEN_EXCLUSIVE else 0
        try:
            descriptor = self._calls.open(path, wanted | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno in {errno.EISDIR, errno.ENOENT} or not flags & t.OPEN_READWRITE:
                return None
            try:
                descriptor = self._calls.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return None
            flags = (flags & ~(t.OPEN_READWRITE | t.OPEN_CREATE)) | t.OPEN_READONLY
        opened = self._calls.opened.get(descriptor)
        key: object = opened.node if opened else os.fstat(descriptor).st_ino
        shared = self._shared.setdefault(key, Shared())
        mount = opened.mount if opened else None
        # As SQLite's own VFS: the folder is synced with a log's first sync after each opening, also of a log that a
        # process left which was killed before it synced anything.
        names_log = bool(flags & t.OPEN_CREATE and flags & (t.OPEN_MAIN_JOURNAL | t.OPEN_WAL))
        handle = Handle(
            descriptor, path, shared, mount, current(), names_log,
            bool(flags & t.OPEN_DELETEONCLOSE),
        )  # fmt: skip
        return handle, flags

    def _delete(self, _vfs: Any, name: bytes, sync: int) -> int:
        path = os.fsdecode(name)
        try:
            self._calls.unlink(path)
        except FileNotFoundError:
            return t.IOERR_DELETE_NOENT
        if sync:
            self._sync_folder(path)
        return t.OK

    def _sync_folder(self, path: str) -> None:
        descriptor = self._calls.open(os.path.dirname(path), os.O_RDONLY)  # noqa: PTH120
        try:
            self._calls.fsync(descriptor)
        finally:
            self._calls.close(descriptor)

    @staticmethod
    def _access(_vfs: Any, name: bytes, flags: int, out: Any) -> int:
        path = os.fsdecode(name)
        if flags == 0:  # SQLite counts an empty file as none
            out[0] = int(os.path.exists(path) and os.path.getsize(path) > 0)  # noqa: PTH110, PTH202
        else:
            out[0] = int(os.access(path, os.W_OK | os.R_OK))
        return t.OK

    @staticmethod
    def _full_name(_vfs: Any, name: bytes, size: int, out: int) -> int:
        path = os.fsencode(os.path.abspath(os.fsdecode(name))) + b"\0"  # noqa: PTH100
        if len(path) > size:
            return t.CANTOPEN
        c.memmove(out, path, len(path))
        return t.OK

    def _random(self, _vfs: Any, size: int, out: int) -> int:
        c.memmove(out, self.rng.randbytes(size), size)
        return size

    @staticmethod
    def _time(_vfs: Any, out: Any) -> int:
        out[0] = time.time() / 86400.0 + 2440587.5
        return t.OK

    @staticmethod
    def _time64(_vfs: Any, out: Any) -> int:
        out[0] = int(time.time() * 1000) + _JULIAN_UNIX
        return t.OK

    # One file.

    def _close(self, file: int) -> int:
        handle = self._handles.pop(file)
        self._release(handle, file)
        self._calls.close(handle.descriptor)
        is_dead = handle.mount is not None and handle.mount.dead
        if handle.delete_on_close and not is_dead:
            self._calls.unlink(handle.path)
        return t.OK

    @staticmethod
    def _release(handle: Handle, file: int) -> None:
        handle.shared.levels.pop(file, None)
        for holders in handle.shared.slots:
            holders.pop(file, None)

    def _read(self, file: int, buffer: int, size: int, at: int) -> int:
        handle = self._handles[file]
        if handle.mount is not None and handle.mount.dead:
            return t.IOERR
        data = os.pread(handle.descriptor, size, at)
        c.memmove(buffer, data, len(data))
        if len(data) == size:
            return t.OK
        c.memset(buffer + len(data), 0, size - len(data))
        return t.IOERR_SHORT_READ

    def _write(self, file: int, buffer: int, size: int, at: int) -> int:
        handle = self._handles[file]
        self._calls.pwrite(handle.descriptor, c.string_at(buffer, size), at)
        return t.OK

    def _truncate(self, file: int, size: int) -> int:
        self._calls.ftruncate(self._handles[file].descriptor, size)
        return t.OK

    def _sync(self, file: int, _flags: int) -> int:
        handle = self._handles[file]
        self._calls.fsync(handle.descriptor)
        if handle.sync_folder:
            self._sync_folder(handle.path)
            handle.sync_folder = False
        return t.OK

    def _size(self, file: int, out: Any) -> int:
        out[0] = os.fstat(self._handles[file].descriptor).st_size
        return t.OK

    # Locks: none 0, shared 1, reserved 2, pending 3, exclusive 4.

    def _lock(self, file: int, level: int) -> int:
        shared = self._handles[file].shared
        others = [held for each, held in shared.levels.items() if each != file]
        highest = max(others, default=0)
        refused = highest >= 3 if level == 1 else highest >= 2
        if refused or (level == 4 and highest >= 1):
            return t.BUSY
        shared.levels[file] = max(level, shared.levels.get(file, 0))
        return t.OK

    def _unlock(self, file: int, level: int) -> int:
        self._handles[file].shared.levels[file] = level
        return t.OK

    def _check(self, file: int, out: Any) -> int:
        out[0] = int(any(level >= 2 for level in self._handles[file].shared.levels.values()))
        return t.OK

    # The index of the write-ahead log.

    def _shm_map(self, file: int, number: int, size: int, extend: int, out: Any) -> int:
        handle = self._handles[file]
        regions = handle.shared.regions
        if len(regions) <= number and not extend:
            out[0] = None
            return t.OK
        if handle.mount is not None and len(regions) <= number:
            if (
                handle.mount.read_only
            ):  # as SQLite's own VFS; READONLY would say that the memory is there
                return t.CANTOPEN
            handle.mount.admit(handle.path, needs_room=True)
        while len(regions) <= number:
            regions.append(c.create_string_buffer(size))
        out[0] = c.addressof(regions[number])
        return t.OK

    def _shm_lock(self, file: int, first: int, count: int, flags: int) -> int:
        slots = self._handles[file].shared.slots[first : first + count]
        if flags & t.SHM_UNLOCK:
            for holders in slots:
                holders.pop(file, None)
            return t.OK
        alone = bool(flags & t.SHM_EXCLUSIVE)
        for holders in slots:
            for other, is_alone in holders.items():
                if other != file and (alone or is_alone):
                    return t.BUSY
        for holders in slots:
            holders[file] = alone
        return t.OK

    def _shm_unmap(self, file: int, _delete: int) -> int:
        for holders in self._handles[file].shared.slots:
            holders.pop(file, None)
        return t.OK


def _library() -> str:
    """Return the SQLite library that Python's module is linked to; raises RuntimeError if it has its own."""
    import _sqlite3  # noqa: PLC0415  # for its file alone

    needed = Path(str(_sqlite3.__file__)).read_bytes()
    if b"libsqlite3.so.0" not in needed:
        raise RuntimeError("Python's sqlite3 has a SQLite of its own: the disk cannot be simulated")
    return ctypes.util.find_library("sqlite3") or "libsqlite3.so.0"
