"""The file that the keys of voice lie in: small, shared by the processes of a cloud, and written anew where that is needed.

SQLite overwrites what it deletes, but not the copies that lie in a page's free room since it put that together anew: only
`KeyFile.vacuum` takes these. Damage costs the keys that it has hit: the others are put into a new file, which takes the place
of the damaged one, so that neither the history nor an erasing waits for a person (docs/adr/0084).
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from base.files import fsync_path
from base.sqlite import Connection, is_damage
from staging.errors import StoreBusyError

FILE_NAME = "voice-keys.sqlite"
FILE_MODE = 0o600
ID_BYTES, KEY_BYTES = 8, 16
BUSY_TIMEOUT_S = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (id BLOB PRIMARY KEY, key BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS going (id BLOB, device_id INTEGER, PRIMARY KEY (id, device_id)) WITHOUT ROWID;
"""

_log = logging.getLogger(__name__)


class KeyFile:
    """One process's connection to it; one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Use the file ``path``, which the first change makes."""
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._is_together = False

    def exists(self) -> bool:
        """Return whether there is one."""
        return self.path.exists()

    def found(self, statement: str, *values: object) -> list[Any]:
        """Return the rows of a statement; raises StoreBusyError."""
        with self._told():
            return self._opened().execute(statement, values).fetchall()

    def change(self, rows: Sequence[tuple[bytes | int, ...]], *statements: str) -> None:
        """Do statements with each of the rows, in one transaction that is on disk then; raises StoreBusyError."""
        with self._told():
            self._change(rows, statements)
            if not self._is_ours():  # another process has mended it meanwhile
                self._change(rows, statements)

    def _change(self, rows: Sequence[tuple[bytes | int, ...]], statements: Sequence[str]) -> None:
        connection = self._opened()
        with nullcontext() if self._is_together else connection:
            for statement in statements:
                connection.executemany(statement, rows)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Do all changes of a block in one transaction; raises StoreBusyError."""
        self._is_together = True
        try:
            yield
            with self._told():
                if self._connection is not None:
                    self._connection.commit()
        except BaseException:
            self.close()
            raise
        finally:
            self._is_together = False

    def vacuum(self) -> None:
        """Write the file anew, with nothing in it but its rows; raises StoreBusyError."""
        with self._told():
            self._opened().execute("VACUUM")

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _is_ours(self) -> bool:
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None or not self._is_ours():
            self.close()
            self._connection = _open(self.path)
            self._inode = self.path.stat().st_ino
        return self._connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.close()
            if isinstance(error, sqlite3.Error) and is_damage(error):
                with suppress(sqlite3.Error, OSError):  # the next one tries it again
                    self._mend(error)
            raise StoreBusyError(f"{self.path}: {error}") from error

    def _mend(self, error: sqlite3.Error) -> None:
        """Put what can be read into a new file, in the place of this one."""
        with self.path.open("rb") as damaged:
            # Raises where another process mends it now: nobody waits for that here, the next try finds what it has made.
            fcntl.flock(damaged, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(damaged.fileno()).st_ino != self.path.stat().st_ino:
                return  # another process has mended it
            keys, going = _salvaged(self.path)
            new = self.path.with_name(f".{self.path.name}.new")
            new.unlink(missing_ok=True)
            with closing(_open(new)) as connection, connection:
                connection.executemany("INSERT INTO keys (id, key) VALUES (?, ?)", keys)
                connection.executemany("INSERT INTO going (id, device_id) VALUES (?, ?)", going)
            # It belongs to the damaged file; SQLite would put its pages into the new one.
            self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)
            new.replace(self.path)
            fsync_path(self.path.parent)
        _log.error(
            "%s: is damaged: %s; %d keys could be read and are kept, voice with another one can be heard no more",
            self.path, error, len(keys),
        )  # fmt: skip


def _open(path: Path) -> sqlite3.Connection:
    is_new = not path.exists()
    made = sqlite3.connect(path, BUSY_TIMEOUT_S, check_same_thread=False, factory=Connection)
    try:
        if is_new:
            path.chmod(FILE_MODE)
        # A log would keep keys that are deleted. Each change is on disk before the row that needs it: with less than EXTRA the
        # journal's end is not, and a power cut brings it back, which undoes the change.
        for pragma in (
            "journal_mode=DELETE", "synchronous=EXTRA", "secure_delete=ON",
            "temp_store=MEMORY",  # VACUUM would have the keys in a file elsewhere
        ):  # fmt: skip
            made.execute(f"PRAGMA {pragma}")
        made.executescript(_SCHEMA)
    except BaseException:
        made.close()
        raise
    return made


def _salvaged(path: Path) -> tuple[set[tuple[bytes, bytes]], set[tuple[bytes, int]]]:
    """Return the keys and the notes that can be read, from either end up to the damage."""
    keys, going = set[Any](), set[Any]()
    for table, column, found in (("keys", "key", keys), ("going", "device_id", going)):
        for order in ("ASC", "DESC"):
            with (
                suppress(sqlite3.Error),
                closing(sqlite3.connect(path, BUSY_TIMEOUT_S, factory=Connection)) as connection,
            ):
                found.update(
                    connection.execute(f"SELECT id, {column} FROM {table} ORDER BY id {order}")  # noqa: S608  # constants
                )
    by_id = {
        key[0]: key for key in keys if _is_blob(key[0], ID_BYTES) and _is_blob(key[1], KEY_BYTES)
    }
    noted = {each for each in going if _is_blob(each[0], ID_BYTES) and isinstance(each[1], int)}
    return set(by_id.values()), noted


def _is_blob(value: object, size: int) -> bool:
    return isinstance(value, bytes) and len(value) == size
