"""The structures of SQLite's interface to the operating system, as ctypes (sqlite.org/c3ref/vfs.html)."""

from __future__ import annotations

import ctypes as c

OK, ERROR, BUSY, NOTFOUND, CANTOPEN = 0, 1, 5, 12, 14
IOERR, FULL, READONLY = 10, 13, 8
IOERR_SHORT_READ, IOERR_READ, IOERR_WRITE = 522, 266, 778
IOERR_FSYNC, IOERR_DELETE, IOERR_DELETE_NOENT = 1034, 2570, 5898
OPEN_READONLY, OPEN_READWRITE, OPEN_CREATE, OPEN_DELETEONCLOSE = 1, 2, 4, 8
OPEN_EXCLUSIVE, OPEN_MAIN_JOURNAL, OPEN_WAL = 0x10, 0x800, 0x80000
IOCAP_POWERSAFE_OVERWRITE = 0x1000
SHM_LOCKS_MAX = 8
SHM_UNLOCK, SHM_LOCK, SHM_SHARED, SHM_EXCLUSIVE = 1, 2, 4, 8


class File(c.Structure):
    """A sqlite3_file: SQLite's pointer to the methods."""

    _fields_ = (("methods", c.c_void_p),)


# Where a `File` is, as a number: an object of it for each call would take as long as many a call.
FileP = c.c_void_p
INT = c.POINTER(c.c_int)

CLOSE = c.CFUNCTYPE(c.c_int, FileP)
READ = c.CFUNCTYPE(c.c_int, FileP, c.c_void_p, c.c_int, c.c_int64)
TRUNCATE = c.CFUNCTYPE(c.c_int, FileP, c.c_int64)
SYNC = c.CFUNCTYPE(c.c_int, FileP, c.c_int)
SIZE = c.CFUNCTYPE(c.c_int, FileP, c.POINTER(c.c_int64))
CHECK = c.CFUNCTYPE(c.c_int, FileP, INT)
CONTROL = c.CFUNCTYPE(c.c_int, FileP, c.c_int, c.c_void_p)
SHM_MAP = c.CFUNCTYPE(c.c_int, FileP, c.c_int, c.c_int, c.c_int, c.POINTER(c.c_void_p))
SHM_LOCKS = c.CFUNCTYPE(c.c_int, FileP, c.c_int, c.c_int, c.c_int)
BARRIER = c.CFUNCTYPE(None, FileP)


class Methods(c.Structure):
    """A sqlite3_io_methods, version 2."""

    _fields_ = (
        ("version", c.c_int), ("close", CLOSE), ("read", READ), ("write", READ),
        ("truncate", TRUNCATE), ("sync", SYNC), ("size", SIZE), ("lock", SYNC), ("unlock", SYNC),
        ("check", CHECK), ("control", CONTROL), ("sector", CLOSE), ("device", CLOSE),
        ("shm_map", SHM_MAP), ("shm_lock", SHM_LOCKS), ("barrier", BARRIER), ("shm_unmap", SYNC),
    )  # fmt: skip


OPEN = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_char_p, FileP, c.c_int, INT)
DELETE = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_char_p, c.c_int)
ACCESS = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_char_p, c.c_int, INT)
FULL_NAME = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_char_p, c.c_int, c.c_void_p)
RANDOM = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int, c.c_void_p)
SLEEP = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int)
TIME = c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(c.c_double))
TIME64 = c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(c.c_int64))


class Vfs(c.Structure):
    """A sqlite3_vfs, version 2."""

    _fields_ = (
        ("version", c.c_int), ("file_size", c.c_int), ("name_max", c.c_int), ("next", c.c_void_p),
        ("name", c.c_char_p), ("data", c.c_void_p), ("open", OPEN), ("delete", DELETE),
        ("access", ACCESS), ("full_name", FULL_NAME), ("dl_open", c.c_void_p),
        ("dl_error", c.c_void_p), ("dl_sym", c.c_void_p), ("dl_close", c.c_void_p),
        ("random", RANDOM), ("sleep", SLEEP), ("time", TIME), ("last_error", RANDOM),
        ("time64", TIME64),
    )  # fmt: skip
