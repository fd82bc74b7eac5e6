"""The outbox's file: SQLite in WAL mode with synchronous=FULL, so a committed report survives a power cut.

Version 1 of the tables has no ``epoch``, ``number``, ``time`` and ``crc``; versions that know only those columns
read and write this file too, so nothing but columns with a default and further tables may be added.
Everything here runs in the outbox's thread and raises sqlite3.Error or OSError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from agent.link.outbox_rows import COLUMNS, BadRowError, Row, parse_row
from base.files import fsync_path
from base.sqlite import Connection, is_damage
from wire.records import dataclass
from wire.reports import KEYS_SYSTEM

# The number of remembered ``once`` names, enough for hundreds of updates.
ONCE_LIMIT = 4096
# The number of damaged rows that are kept for people to look at.
ASIDE_LIMIT = 64
BUSY_TIMEOUT = 5.0
# Pages of the log before it is written back. After a power cut all of it is checked at the start.
LOG_PAGES = 128
SUFFIXES = ("-wal", "-shm")
# Bytes of a file that is read into memory, in such blocks; above the first number only its first part is.
READ_MAX, BLOCK = 64 * 1024 * 1024, 4096

_SCHEMA = """
CREATE TABLE IF NOT EXISTS report (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    size INTEGER NOT NULL,
    epoch TEXT,
    number INTEGER,
    time INTEGER,
    crc INTEGER
);
CREATE TABLE IF NOT EXISTS once (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS told (
    key TEXT PRIMARY KEY,
    id INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS aside (
    why TEXT NOT NULL,
    id INTEGER NOT NULL,
    key BLOB,
    body BLOB
);
"""
_ADDED = {"epoch": "TEXT", "number": "INTEGER", "time": "INTEGER", "crc": "INTEGER"}
_NEEDED = {"report": {"id", "key", "body", "size"}, "once": {"id", "name"}}
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM report"  # noqa: S608  # a constant
_INSERT = (
    "INSERT INTO report (key, body, size, epoch, number, time, crc) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_ASIDE = (
    "INSERT INTO aside (why, id, key, body) SELECT ?, id, CAST(key AS BLOB),"
    " substr(CAST(body AS BLOB), 1, 4096) FROM report WHERE id = ?"
)
_ASIDE_LIMIT = "DELETE FROM aside WHERE rowid <= (SELECT max(rowid) FROM aside) - ?"
_SYSTEM = tuple(sorted(KEYS_SYSTEM))
_MARKS = ",".join("?" * len(_SYSTEM))


class WrongSchemaError(sqlite3.DatabaseError):
    """The file is a SQLite database of something else."""


@dataclass(slots=True)
class Sweep:
    """What is written when delivered rows leave the file.

    Attributes:
        done: ids of rows to delete.
        bad: why rows are no reports, by id; they are kept for people to look at.
        told: by data point, the id of a row that was delivered before older ones; None: forget it.
    """

    done: Sequence[int] = ()
    bad: Mapping[int, str] = field(default_factory=dict)
    told: Mapping[str, int | None] = field(default_factory=dict)


class OutboxFile:
    """One open file."""

    def __init__(self, path: Path) -> None:
        """Open the file or create it, and check all of it; raises sqlite3.Error or OSError."""
        try:
            self._db = _connect(path)
        except sqlite3.OperationalError as error:
            if is_damage(error):
                raise
            # On a full disk the -shm file cannot be created; exclusive mode does not need it.
            self._db = _connect(path, exclusive=True)
        self._path = path
        self._inode = _inode(path)

    def is_in_place(self) -> bool:
        """Return whether the path still leads to this file: else nothing written here is kept."""
        return _inode(self._path) == self._inode

    # Reading.

    def counts(self) -> dict[str, int]:
        """Return the number of rows by key."""
        query = "SELECT key, count(*) FROM report GROUP BY key"
        return {_name(key): count for key, count in self._db.execute(query)}

    def newest(self) -> dict[str, int]:
        """Return the id of the newest row of each data point."""
        query = f"SELECT key, max(id) FROM report WHERE key NOT IN ({_MARKS}) GROUP BY key"  # noqa: S608  # placeholders
        return {_name(key): row_id for key, row_id in self._db.execute(query, _SYSTEM)}

    def system(self) -> dict[int, str]:
        """Return the reports on updates and identity: key by id, oldest first."""
        query = f"SELECT id, key FROM report WHERE key IN ({_MARKS}) ORDER BY id"  # noqa: S608  # placeholders
        return {row_id: _name(key) for row_id, key in self._db.execute(query, _SYSTEM)}

    def told(self) -> dict[str, int]:
        """Return, by data point, the id of a row that was delivered before older ones of it."""
        return {_name(key): row_id for key, row_id in self._db.execute("SELECT key, id FROM told")}

    def after(self, row_id: int, limit: int) -> list[tuple[int, Row | BadRowError]]:
        """Return up to ``limit`` rows behind ``row_id``, oldest first."""
        query = f"{_SELECT} WHERE id > ? ORDER BY id LIMIT ?"
        return [_parse(columns) for columns in self._db.execute(query, (row_id, limit))]

    def rows(self, ids: Sequence[int]) -> list[tuple[int, Row | BadRowError]]:
        """Return the rows with ``ids`` that exist, oldest first."""
        query = f"{_SELECT} WHERE id IN ({','.join('?' * len(ids))}) ORDER BY id"
        return [_parse(columns) for columns in self._db.execute(query, tuple(ids))]

    def bytes_waiting(self) -> int:
        """Return the bytes of all rows' JSON."""
        found = self._db.execute("SELECT coalesce(sum(size), 0) FROM report").fetchone()[0]
        return int(found)

    def oldest(self) -> Iterable[tuple[int, bytes, int]]:
        """Return id, key and size of each row of a data point, oldest first."""
        query = f"SELECT id, key, size FROM report WHERE key NOT IN ({_MARKS}) ORDER BY id"  # noqa: S608  # placeholders
        return self._db.execute(query, _SYSTEM)

    def everything(self) -> tuple[dict[int, Row], list[str]]:
        """Return all sound rows by id, and all ``once`` names."""
        rows = {row_id: row for row_id, row in self.after(0, -1) if isinstance(row, Row)}
        names = self._db.execute("SELECT name FROM once ORDER BY id")
        return rows, [_name(name) for (name,) in names]

    def last_id(self) -> int:
        """Return the highest id that was ever given."""
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'report'"
        found = self._db.execute(query).fetchone()
        return found[0] if found and isinstance(found[0], int) else 0

    def has_once(self, name: str) -> bool:
        """Return whether a report of this ``once`` name was ever stored."""
        query = "SELECT 1 FROM once WHERE name = ?"
        return self._db.execute(query, (name,)).fetchone() is not None

    # Writing.

    def write(
        self, rows: Sequence[tuple[Row, str | None]], drop: Sequence[int], sweep: Sweep
    ) -> list[int]:
        """Store ``rows``, each with its ``once`` name, in one transaction; return their ids.

        ``drop`` are ids that the new rows replace; ``sweep`` is written with them, for one sync.
        """
        with self._db as db:
            ids = [self._insert(db, row, once) for row, once in rows]
            db.executemany("DELETE FROM report WHERE id = ?", [(row_id,) for row_id in drop])
            _sweep(db, sweep)
        return ids

    @staticmethod
    def _insert(db: sqlite3.Connection, row: Row, once: str | None) -> int:
        if once is not None:
            db.execute("INSERT OR IGNORE INTO once (name) VALUES (?)", (once,))
            db.execute("DELETE FROM once WHERE id <= (SELECT max(id) FROM once) - ?", (ONCE_LIMIT,))
        return int(db.execute(_INSERT, _columns(row)).lastrowid or 0)

    def claim(self, once: str) -> None:
        """Remember a ``once`` name whose report was delivered past the disk."""
        with self._db as db:
            db.execute("INSERT OR IGNORE INTO once (name) VALUES (?)", (once,))

    def name_old_rows(self, epoch: str) -> None:
        """Give the rows of an older version an identity: their ids, within an epoch of their own.

        On a disk that takes nothing they stay without one, and are sent without a number.
        """
        with contextlib.suppress(sqlite3.OperationalError), self._db as db:
            db.execute("UPDATE report SET epoch = ?, number = id WHERE epoch IS NULL", (epoch,))

    def close(self) -> None:
        """Close the file; nothing is raised, since there is nothing left to do about it."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()


def make_file(
    path: Path,
    rows: Mapping[int, Row],
    once: Iterable[str],
    told: Mapping[str, int],
    last_id: int,
) -> None:
    """Make a new file with what was salvaged, complete on the disk when this returns.

    Further rows get ids above ``last_id``.

    Raises:
        sqlite3.Error, OSError: no room for it; nothing of it is left.
    """
    try:
        db = _connect(path)
        try:
            with db:
                db.executemany("INSERT INTO once (name) VALUES (?)", [(name,) for name in once])
                db.executemany(
                    _INSERT.replace("(key", "(id, key").replace("(?", "(?, ?"),
                    [(row_id, *_columns(row)) for row_id, row in rows.items()],
                )
                db.executemany("INSERT INTO told (key, id) VALUES (?, ?)", told.items())
                db.execute("DELETE FROM sqlite_sequence WHERE name = 'report'")
                db.execute("INSERT INTO sqlite_sequence VALUES ('report', ?)", (last_id,))
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            db.close()
        fsync_path(path)
    except (sqlite3.Error, OSError):
        remove_file(path)
        raise


def remove_file(path: Path) -> None:
    """Remove a database with its log; what is not there or cannot be removed is left."""
    for suffix in ("", *SUFFIXES):
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).unlink()


def fault_before_opening(path: Path) -> str | None:
    """Return what is wrong with a file in a way that SQLite would pass over without a word.

    SQLite takes an empty file for a new one and removes its log; it reads a log up to its first
    damaged frame and forgets the rest; and it cannot tell a missing file from a deleted one.
    """
    log = path.with_name(path.name + "-wal")
    try:
        found = path.stat()
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR}:
            raise
        if path.is_symlink():
            return "it is a link to nothing"
        return "its file is missing beside its log" if _size(log) else None
    if not stat.S_ISREG(found.st_mode):
        return "it is no file"
    if found.st_size == 0:
        return "it is empty"
    if _size(log) and not _is_log_whole(log):
        return "its log is damaged"
    return None


def _is_log_whole(log: Path) -> bool:
    from agent.link.sqlite_pages import is_log_whole  # noqa: PLC0415  # after a power cut only

    return is_log_whole(read_file(log))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def read_file(path: Path) -> bytes:
    """Return a file's bytes; blocks that the card cannot read are zeros."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return b""
        size = min(found.st_size, READ_MAX)
        return b"".join(_read_block(descriptor, at, size) for at in range(0, size, BLOCK))
    finally:
        os.close(descriptor)


def _read_block(descriptor: int, at: int, size: int) -> bytes:
    length = min(BLOCK, size - at)
    try:
        return os.pread(descriptor, length, at)
    except OSError:
        return bytes(length)


def _connect(path: Path, *, exclusive: bool = False) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT, check_same_thread=False, factory=Connection)
    try:
        # A flipped bit in a text must not fail the query: each row is checked by itself.
        db.text_factory = bytes
        if exclusive:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        _check(db)
        if not _has_tables(db):
            db.executescript(_SCHEMA)
            _add_columns(db)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection) -> None:
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != b"ok":
        raise sqlite3.DatabaseError(found.decode(errors="replace"))
    for table, needed in _NEEDED.items():
        columns = _column_names(db, table)
        if columns and not needed <= columns:
            raise WrongSchemaError(f"table {table}: expected columns {', '.join(sorted(needed))}")


def _has_tables(db: sqlite3.Connection) -> bool:
    return set(_ADDED) <= _column_names(db, "report") and all(
        _column_names(db, table) for table in ("once", "told", "aside")
    )


def _add_columns(db: sqlite3.Connection) -> None:
    for name in sorted(set(_ADDED) - _column_names(db, "report")):
        db.execute(f"ALTER TABLE report ADD COLUMN {name} {_ADDED[name]}")


def _column_names(db: sqlite3.Connection, table: str) -> set[str]:
    return {_name(row[1]) for row in db.execute(f"PRAGMA table_info({table})")}


def _sweep(db: sqlite3.Connection, sweep: Sweep) -> None:
    db.executemany(_ASIDE, [(why, row_id) for row_id, why in sweep.bad.items()])
    if sweep.bad:
        db.execute(_ASIDE_LIMIT, (ASIDE_LIMIT,))
    gone = [(row_id,) for row_id in (*sweep.done, *sweep.bad)]
    db.executemany("DELETE FROM report WHERE id = ?", gone)
    for key, row_id in sweep.told.items():
        if row_id is None:
            db.execute("DELETE FROM told WHERE key = ?", (key,))
        else:
            db.execute("INSERT OR REPLACE INTO told (key, id) VALUES (?, ?)", (key, row_id))


def _parse(columns: Sequence[object]) -> tuple[int, Row | BadRowError]:
    row_id = int(str(columns[0]))
    try:
        return row_id, parse_row(columns[1:])
    except BadRowError as error:
        error.key = _name(columns[1])
        return row_id, error


def _columns(row: Row) -> tuple[object, ...]:
    return (row.key, row.body, row.size, row.epoch, row.number, row.time, row.crc)


def _name(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
