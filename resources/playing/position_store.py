"""What is remembered of titles, on disk: SQLite, one row for each title that was heard.

Rows are written when a title ends, pauses or stops; between those `resources.playing.beat_file` has the
place, and its row is written when the store is opened again. A damaged file is put aside, and costs what
it held.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from base.sqlite import Connection, is_damage
from resources.playing.beat_file import Beat, BeatFile
from resources.playing.resume import Heard

# Titles; each takes about 100 bytes. The ones heard longest ago are forgotten first.
HEARD_LIMIT = 10_000
LATEST_LIMIT = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS heard (
    key BLOB PRIMARY KEY, at REAL NOT NULL, length REAL, finished INTEGER NOT NULL,
    turn INTEGER NOT NULL, noted REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS heard_turn ON heard (turn);
CREATE TABLE IF NOT EXISTS note (name BLOB PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_COLUMNS = "at, length, finished, turn, noted"

_log = logging.getLogger(__name__)


class PositionStore:
    """Reads and writes rows; the methods wait for the disk, so call them in one thread at a time.

    Each raises sqlite3.Error or OSError if the disk fails.
    """

    def __init__(self, folder: Path) -> None:
        """Keep ``playing.sqlite`` and ``playing.beat`` in ``folder``; opens nothing yet."""
        self._path = folder / "playing.sqlite"
        self._beats = BeatFile(folder / "playing.beat")
        self._db: sqlite3.Connection | None = None
        self.unnoted: Beat | None = None
        """The last beat, if the disk has no room for its row: the next beat would take its place."""

    def open(self) -> int:
        """Open or create the files, and note the last beat; return the highest turn."""
        self.close()  # what a try before has left half open may have the file for itself
        try:
            self._db = self._connect_anyhow()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            aside = self._path.with_suffix(".damaged")
            _log.error("what was heard is damaged (%s): %s is now %s", error, self._path, aside)
            self._path.replace(aside)
            for end in ("-wal", "-shm"):
                Path(f"{self._path}{end}").unlink(missing_ok=True)
            self._db = self._connect_anyhow()
        highest = self._highest_turn()
        beat, self.unnoted = self._last_beat(), None
        if beat is not None and beat.turn > highest:
            try:
                self._merge(beat)
            except sqlite3.OperationalError:
                self.unnoted = beat
            highest = beat.turn
        return highest

    def _highest_turn(self) -> int:
        found = self._open_db.execute("SELECT coalesce(max(turn), 0) FROM heard").fetchone()
        return int(found[0])

    def _last_beat(self) -> Beat | None:
        """Return the last place before a power cut; a file that cannot be read costs only that."""
        try:
            return self._beats.read()
        except OSError as error:
            _log.warning("play: the last place is lost: %s", error)
            return None

    def heard(self, key: str) -> Heard | None:
        """Return what is remembered of a title, None if nothing is."""
        row = self._open_db.execute(f"SELECT {_COLUMNS} FROM heard WHERE key = ?", (_bytes(key),))  # noqa: S608  # a constant
        found = row.fetchone()
        return None if found is None else _heard(found)

    def latest(self) -> list[tuple[str, Heard]]:
        """Return keys and what was heard of them, the latest first."""
        rows = self._open_db.execute(
            f"SELECT key, {_COLUMNS} FROM heard ORDER BY turn DESC LIMIT ?",  # noqa: S608  # a constant
            (LATEST_LIMIT,),
        )
        return [(os.fsdecode(key), _heard(found)) for key, *found in rows]

    def write(self, rows: Mapping[str, Heard], notes: Mapping[str, str | None]) -> bool:
        """Write rows and notes in one transaction; a note of None is taken out. Returns True."""
        with self._open_db as db:
            for key, heard in rows.items():
                self._put(db, _bytes(key), heard)
            for name, value in notes.items():
                db.execute("DELETE FROM note WHERE name = ?", (_bytes(name),))
                if value is not None:
                    db.execute(
                        "INSERT INTO note (name, value) VALUES (?, ?)", (_bytes(name), value)
                    )
            db.execute(
                "DELETE FROM heard WHERE turn <= (SELECT turn FROM heard ORDER BY turn DESC"
                " LIMIT 1 OFFSET ?)",
                (HEARD_LIMIT,),
            )
        return True

    def notes(self) -> dict[str, str]:
        """Return all notes by their names."""
        rows = self._open_db.execute("SELECT name, value FROM note")
        return {os.fsdecode(name): str(value) for name, value in rows}

    def forget(self, keys: Iterable[str] | None) -> int:
        """Forget titles, None: all; return how many were known. After a power cut in it they are as before, or forgotten."""
        names = None if keys is None else {_bytes(key) for key in keys}
        # The next start would note the last place of a title again that is forgotten here. It goes first, and what it
        # alone knows is a row before that: else a cut in between would leave an older place than there was.
        beat = self._beats.read()
        if beat is not None and (names is None or beat.key in names):
            if beat.turn > self._highest_turn():
                self._merge(beat)
            self._beats.clear()
        with self._open_db as db:
            if names is None:
                return db.execute("DELETE FROM heard").rowcount
            return sum(
                db.execute("DELETE FROM heard WHERE key = ?", (name,)).rowcount for name in names
            )

    def beat(self, beat: Beat) -> bool:
        """Write where a title is now; False if its key is too long for that."""
        return self._beats.write(beat)

    def close(self) -> None:
        """Close the files."""
        self._beats.close()
        if self._db is not None:
            self._db.close()
            self._db = None

    @property
    def _open_db(self) -> sqlite3.Connection:
        if self._db is None:
            raise sqlite3.OperationalError("it is not open")
        return self._db

    def _connect_anyhow(self) -> sqlite3.Connection:
        """Open the file, alone where it is locked or the disk is read-only or full."""
        try:
            return self._connect()
        except sqlite3.Error as error:
            if is_damage(error):
                raise
            return self._connect(alone=True)

    def _connect(self, *, alone: bool = False) -> sqlite3.Connection:
        """Open the file; ``alone``: with the log's index in memory, since a full disk has no room for its file."""
        db = sqlite3.connect(self._path, timeout=1.0, check_same_thread=False, factory=Connection)
        try:
            if alone:
                db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            db.executescript(_SCHEMA)
            db.execute(f"SELECT key, {_COLUMNS} FROM heard LIMIT 0")  # noqa: S608  # a constant
            db.execute("SELECT name, value FROM note LIMIT 0")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _merge(self, beat: Beat) -> None:
        """Note the place of a story that was playing when the machine lost its power."""
        with self._open_db as db:
            row = db.execute("SELECT noted FROM heard WHERE key = ?", (beat.key,)).fetchone()
            heard = Heard(beat.at, beat.length, turn=beat.turn, when=row[0] if row else 0.0)
            self._put(db, beat.key, heard)

    @staticmethod
    def _put(db: sqlite3.Connection, key: bytes, heard: Heard) -> None:
        db.execute(
            f"INSERT OR REPLACE INTO heard (key, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608  # a constant
            (key, heard.at, heard.length, heard.finished, heard.turn, heard.when),
        )


def _bytes(key: str) -> bytes:
    return os.fsencode(key)  # a file's name need not be UTF-8


def _heard(row: Iterable[object]) -> Heard:
    at, length, finished, turn, noted = row
    known = float(length) if isinstance(length, int | float) else None
    return Heard(float(str(at)), known, bool(finished), int(str(turn)), float(str(noted)))
