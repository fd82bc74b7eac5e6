"""What was measured of the titles, in SQLite: by path, size and time, so that a file that was replaced counts as new."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from pathlib import Path

from base.sqlite import Connection, is_damage
from machine.measure import Measured

_log = logging.getLogger(__name__)

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS titles (path BLOB PRIMARY KEY, folder BLOB NOT NULL,"
    " size INTEGER NOT NULL, mtime INTEGER NOT NULL, lufs REAL, peak REAL) WITHOUT ROWID"
)
_BY_FOLDER = "CREATE INDEX IF NOT EXISTS by_folder ON titles (folder)"
# Neighbours that tell a new title's loudness.
NEIGHBOURS = 25
# Twice the titles that one card may have: 40 MB.
ROWS_MAX = 200_000


class GainIndex:
    """The index; a damaged one is begun anew, since all of it can be measured again. Thread-safe."""

    def __init__(self, path: Path | None) -> None:
        """Keep the index at ``path``, None: in memory. It is opened at the first use."""
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def find(self, source: str) -> Measured | None:
        """Return what was measured of the file ``source`` as it is now, None if nothing was."""
        stamp = _stamp(source)
        rows = self._run(
            "SELECT lufs, peak FROM titles WHERE path = ? AND size = ? AND mtime = ?"
            " AND lufs IS NOT NULL", (os.fsencode(source), *stamp),
        ) if stamp else []  # fmt: skip
        return Measured(*rows[0]) if rows else None

    def knows(self, source: str) -> bool:
        """Return whether ``source`` as it is now was measured, or could not be."""
        stamp = _stamp(source)
        return stamp is None or bool(
            self._run(
                "SELECT 1 FROM titles WHERE path = ? AND size = ? AND mtime = ?",
                (os.fsencode(source), *stamp),
            )
        )

    def neighbours(self, source: str) -> list[Measured]:
        """Return what was measured in the folder of ``source``, else anywhere; at most NEIGHBOURS."""
        folder = os.fsencode(os.path.dirname(source))  # noqa: PTH120  # text: no Path at each play
        rows = self._run(
            "SELECT lufs, peak FROM titles WHERE folder = ? AND lufs IS NOT NULL LIMIT ?",
            (folder, NEIGHBOURS),
        )
        if not rows:
            rows = self._run(
                "SELECT lufs, peak FROM titles WHERE lufs IS NOT NULL LIMIT ?", (NEIGHBOURS,)
            )
        return [Measured(*row) for row in rows]

    def keep(self, source: str, measured: Measured | None) -> None:
        """Store what was measured of ``source``; None: it cannot be, and is not tried again."""
        stamp = _stamp(source)
        if stamp is None:
            return
        lufs = measured.lufs if measured else None
        # SQLite knows no infinity that comes back as a number: -200 dBTP is as silent.
        peak = max(measured.peak, -200.0) if measured else None
        folder = os.fsencode(os.path.dirname(source))  # noqa: PTH120
        row = (os.fsencode(source), folder, *stamp, lufs, peak)
        self._run(
            "REPLACE INTO titles (path, folder, size, mtime, lufs, peak) VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )

    def make_room(self) -> None:
        """Forget half of what was measured if there is more than any card holds.

        Titles that are not on the card now are kept: it may come back.
        """
        ((count,),) = self._run("SELECT count(*) FROM titles") or [(0.0,)]
        if count > ROWS_MAX:
            self._run(
                "DELETE FROM titles WHERE path IN"
                " (SELECT path FROM titles ORDER BY random() LIMIT ?)", (ROWS_MAX // 2,),
            )  # fmt: skip

    def close(self) -> None:
        """Close the index; a later use opens it again."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _run(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[float, ...]]:
        """Run a query; a damaged or unwritable index gives nothing, which is logged."""
        with self._lock:
            try:
                return self._open().execute(query, values).fetchall()
            except sqlite3.DatabaseError as error:
                if is_damage(error):
                    _log.error("loudness: the index is damaged and begun anew: %s", error)
                    self._begin_anew()
                else:
                    _log.warning("loudness: the index cannot be used: %s", error)
            return []

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            name = ":memory:" if self._path is None else str(self._path)
            self._database = sqlite3.connect(
                name, isolation_level=None, check_same_thread=False, factory=Connection
            )
            self._database.execute("PRAGMA journal_mode = WAL")
            # A power cut may lose the last rows, which are then measured again.
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(_SCHEMA)
            self._database.execute(_BY_FOLDER)
        return self._database

    def _begin_anew(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._path is not None:
            for ending in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)


def _stamp(source: str) -> tuple[int, int] | None:
    try:
        found = os.stat(source)  # noqa: PTH116  # a name need not be UTF-8
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns
