"""Whether a SQLite file is what it was: empty, cut, or with damaged pages. Nothing is changed.

The looks before a start are bounded in time; `story-cloud check` takes the time that it needs.
"""

from __future__ import annotations

import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from staging.store.mark import open_to_read
from staging.store.place import Fault, log_of
from staging.store.schema import VERSION_TABLE

MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
# A file of some hundred MB is looked through in this time; of a larger one, as much as it allows.
LOOK_SECONDS = 3.0
# Faults that are told; one damaged page may be the cause of thousands.
FAULTS_LIMIT = 20
_STEPS = 10_000


MISSING, EMPTY = Fault("不见了", "is missing"), Fault("是空的", "is empty")
BARE = Fault("里面没有表", "has no tables")


def header_fault(path: Path) -> Fault | None:
    """Return what is wrong with a file by its size and its first bytes; None: nothing.

    Raises:
        FileNotFoundError: it is missing.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size == 0:
        return EMPTY
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
        return Fault("不是 SQLite 文件", "is no SQLite file")
    expected = _expected_size(head)
    if expected > size and not _has_log(path):
        return Fault(
            f"不完整：{expected} 字节只剩 {size}", f"is cut: it has {size} of {expected} bytes"
        )
    return None


def contents(path: Path) -> tuple[set[str], str | None] | None:
    """Return the tables of a file and its schema's revision, None if it has none; None: it cannot be read."""
    try:
        with closing(open_to_read(path)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            names = {str(name) for (name,) in rows if not str(name).startswith("sqlite_")}
            if VERSION_TABLE not in names:
                return names, None
            found = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608  # a constant
            return names, None if found is None else str(found[0])
    except sqlite3.Error:
        return None  # whoever opens it is told why


def _expected_size(head: bytes) -> int:
    page = struct.unpack_from(">H", head, 16)[0]
    changes, pages = struct.unpack_from(">I", head, 24)[0], struct.unpack_from(">I", head, 28)[0]
    is_told = changes == struct.unpack_from(">I", head, 92)[0]
    return int((65536 if page == 1 else page) * pages) if is_told else 0


def _has_log(path: Path) -> bool:
    log = log_of(path, "-wal")
    return log.exists() and log.stat().st_size > 0


def damage(path: Path, seconds: float | None = LOOK_SECONDS) -> list[str]:
    """Return damaged places in a file, at most FAULTS_LIMIT; what takes longer than ``seconds`` is left out.

    ``seconds`` None: everything is looked at, indexes too.
    """
    check = "quick_check" if seconds is not None else "integrity_check"
    try:
        with _reading(path, seconds) as connection:
            rows = connection.execute(f"PRAGMA {check}({FAULTS_LIMIT})").fetchall()
            broken = [] if seconds is not None else _dangling(connection)
    except sqlite3.OperationalError:
        return []  # out of time, or it cannot be opened now: whoever opens it is told why
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [*(str(text) for (text,) in rows if text != "ok"), *broken]


def _dangling(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("PRAGMA foreign_key_check").fetchmany(FAULTS_LIMIT)
    return [
        f"{table}: row {row} refers to a row of {other} that is missing"
        for table, row, other, _ in rows
    ]


@contextmanager
def _reading(path: Path, seconds: float | None) -> Iterator[sqlite3.Connection]:
    end = None if seconds is None else time.monotonic() + seconds
    with closing(open_to_read(path)) as connection:
        if end is not None:
            connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
        yield connection
