"""The durable outbox: stores reports on disk until the cloud has answered them.

SQLite in WAL mode with synchronous=FULL: once `put` has returned, the report survives a power cut.
Delivery is at least once and in order. Above the byte limit the oldest data-point reports are
dropped; reports on updates and identity never are.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wire.reports import KEY_DEVICE_INFO, KEY_PACKAGE_INFO, KEYS_SYSTEM

# Reported after every start; only the newest is kept.
LATEST_ONLY = frozenset({KEY_DEVICE_INFO, KEY_PACKAGE_INFO})
# The number of remembered ``once`` names, enough for hundreds of updates.
ONCE_LIMIT = 4096
BUSY_TIMEOUT = 5.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS report (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    size INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS once (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
);
"""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class OutboxError(RuntimeError):
    """The outbox cannot be read or written: disk full, read-only, or a damaged file."""


@dataclass(frozen=True, slots=True)
class Report:
    """A queued report: its key, and the whole ``data`` object to send."""

    id: int
    key: str
    data: dict[str, object]


class Outbox:
    """An on-disk queue; SQLite runs in its own thread, so fsync does not block the loop."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Store the queue in the file ``path``, up to ``max_bytes`` of reports (plus 1 %)."""
        self._path = path
        self._max_bytes = max_bytes
        self._db: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self.filled = asyncio.Event()
        self.emptied = asyncio.Event()
        self.dropped = 0
        self._unchecked = max_bytes
        self._closed = False

    async def open(self) -> None:
        """Open or create the file; a damaged one is renamed and logged. Raises OutboxError."""
        await self._run(self._open)

    async def put(self, key: str, value: object, *, once: str | None = None) -> bool:
        """Queue the report ``{key: value}``; it is on disk when this returns.

        ``once`` is a unique name: a second report with the same name is not queued, even after a
        restart or after delivery. Returns whether it was queued. Raises OutboxError.
        """
        try:
            return await self._run(self._put, key, value, once)
        finally:
            # Also when cancelled, because the thread still completes the write.
            self.emptied.clear()
            self.filled.set()

    async def head(self) -> Report | None:
        """Return the oldest report without removing it."""
        report = await self._run(self._head)
        if report is None:
            self.filled.clear()
            # A report may have been queued between the query and the clear.
            report = await self._run(self._head)
            if report is None:
                self.emptied.set()
        return report

    async def remove(self, report: Report) -> None:
        """Remove a report that the cloud has answered."""
        await self._run(self._remove, report.id)

    async def depth(self) -> int:
        """Return the number of queued reports."""
        return await self._run(lambda: self._one("SELECT count(*) FROM report"))

    async def close(self) -> None:
        """Close the file; queued reports stay in it. A second call does nothing."""
        if not self._closed:
            await self._run(self._close)
            self._closed = True
            self._thread.shutdown()

    async def _run(self, work: Callable[..., _T], *arguments: object) -> _T:
        if self._closed:
            raise OutboxError(f"outbox {self._path}: closed")
        doing = asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        # If the caller was cancelled, asyncio would log the exception as never retrieved.
        doing.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.shield(doing)
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(f"outbox {self._path}: {error}") from error

    @property
    def _open_db(self) -> sqlite3.Connection:
        if self._db is None:
            raise OutboxError(f"outbox {self._path}: not open")
        return self._db

    def _one(self, query: str) -> int:
        row = self._open_db.execute(query).fetchone()
        return int(row[0])

    def _open(self) -> None:
        try:
            self._db = self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, read-only or full: not damage
                # On a full disk the -shm file cannot be created; exclusive mode does not need it.
                self._db = self._connect(exclusive=True)
                self._announce()
                return
            aside = self._path.with_name(self._path.name + ".bad")
            _log.error("outbox %s is damaged (%s): renamed to %s", self._path, error, aside)
            self._path.replace(aside)
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            self._db = self._connect()
        self._announce()

    def _announce(self) -> None:
        if self._one("SELECT count(*) FROM report"):
            self.filled.set()

    def _connect(self, *, exclusive: bool = False) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT, check_same_thread=False)
        try:
            if exclusive:
                db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.executescript(_SCHEMA)
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _put(self, key: str, value: object, once: str | None) -> bool:
        body = json.dumps({key: value}, ensure_ascii=False).encode(errors="replace").decode()
        with self._open_db as db:
            if once is not None and not self._claim(db, once):
                return False
            if key in LATEST_ONLY:
                db.execute("DELETE FROM report WHERE key = ?", (key,))
            db.execute(
                "INSERT INTO report (key, body, size) VALUES (?, ?, ?)",
                (key, body, len(body.encode())),
            )
            self._trim(db, len(body.encode()))
        return True

    @staticmethod
    def _claim(db: sqlite3.Connection, once: str) -> bool:
        cursor = db.execute("INSERT OR IGNORE INTO once (name) VALUES (?)", (once,))
        db.execute("DELETE FROM once WHERE id <= (SELECT max(id) FROM once) - ?", (ONCE_LIMIT,))
        return cursor.rowcount == 1

    def _trim(self, db: sqlite3.Connection, added: int) -> None:
        """Drop the oldest data-point reports until the rest fits the limit."""
        # Summing up the table takes time, so it is done only once per 1 % of the limit.
        self._unchecked += added
        if self._unchecked * 100 < self._max_bytes:
            return
        self._unchecked = 0
        excess = self._one("SELECT coalesce(sum(size), 0) FROM report") - self._max_bytes
        marks = ",".join("?" * len(KEYS_SYSTEM))
        oldest = db.execute(
            f"SELECT id, size FROM report WHERE key NOT IN ({marks}) ORDER BY id",  # noqa: S608  # placeholders
            tuple(KEYS_SYSTEM),
        )
        drop: list[tuple[int]] = []
        while excess > 0 and (row := oldest.fetchone()) is not None:
            drop.append((row[0],))
            excess -= row[1]
        db.executemany("DELETE FROM report WHERE id = ?", drop)
        if drop:
            self.dropped += len(drop)
            _log.warning("outbox full: %d data-point reports dropped so far", self.dropped)

    def _head(self) -> Report | None:
        query = "SELECT id, key, body FROM report ORDER BY id LIMIT 1"
        while (row := self._open_db.execute(query).fetchone()) is not None:
            try:
                return Report(row[0], row[1], dict(json.loads(row[2])))
            except (TypeError, ValueError) as error:
                # SQLite has no checksums, so a worn card may corrupt a report unnoticed.
                _log.error("outbox: a damaged report of %s is dropped: %s", row[1], error)
                self._remove(row[0])
        return None

    def _remove(self, report_id: int) -> None:
        with self._open_db as db:
            db.execute("DELETE FROM report WHERE id = ?", (report_id,))

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
