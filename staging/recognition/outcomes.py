"""The outcome of each sentence: stored for the console, up to a limit, and sent to subscribers.

The record is a small SQLite file of its own (docs/adr/0010): it is a log of the bench, not state
that the open API shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from base.sqlite import Connection, is_damage
from staging.errors import StagingError
from staging.recognition.kinds import Kind
from staging.store.family import Texts
from staging.store.voice_ledger import NEAR_MS

_log = logging.getLogger(__name__)

FILE_NAME = "recognition.sqlite"
KEEP_PER_DEVICE = 200
KEEP_ALL = 20_000
PAGE_LIMIT = 100
# A console that reads slower than this many outcomes loses the oldest.
FEED_LIMIT = 32
BUSY_TIMEOUT_S = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS outcomes (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS outcomes_uuid ON outcomes (uuid, id);
"""

# Of the file's ``user_version``: it has been written anew since something was deleted.
_DELETED, _NOTHING_ELSE = 0, 1

VOICE, TYPED = "voice", "typed"
_TIME = "json_extract(body, '$.time')"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One sentence to one device: what was understood, requested and answered.

    ``text`` is None if nothing was recognised, ``intent`` None if the text contains no command;
    ``error`` is the reason that nothing (more) was done. ``steps`` are `actions.Step` as JSON.
    """

    uuid: str
    time: int
    """UTC milliseconds."""
    source: str
    """``voice`` or ``typed``."""
    id: int = 0
    """Ascending; 0 until the outcome is stored."""
    utterance: int | None = None
    """The id of the voice segments."""
    audio_seconds: float | None = None
    recognition_seconds: float | None = None
    text: str | None = None
    intent: Mapping[str, object] | None = None
    steps: tuple[Mapping[str, object], ...] = ()
    error: str | None = None
    kind: Kind = Kind.NOT_UNDERSTOOD
    """What became of it."""
    nearest: tuple[str, ...] = ()
    """The titles that come nearest to one that was not found: at most two."""
    stages: Mapping[str, int] = field(default_factory=dict)
    """When what happened first, in UTC milliseconds: began, recognised, ordered, done."""

    @property
    def done(self) -> bool:
        """Whether the device carried out the request."""
        return self.kind is Kind.DONE

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object for the console and the commands."""
        return {
            "id": self.id, "uuid": self.uuid, "time": self.time, "source": self.source,
            "utterance": self.utterance, "audioSeconds": self.audio_seconds,
            "recognitionSeconds": self.recognition_seconds, "text": self.text,
            "intent": self.intent and dict(self.intent),
            "steps": [dict(step) for step in self.steps], "error": self.error, "done": self.done,
            "kind": self.kind.value, "nearest": list(self.nearest), "stages": dict(self.stages),
        }  # fmt: skip


class OutcomeLog:
    """The newest outcomes of each device; methods other than `publish` and `subscribe` do disk I/O."""

    def __init__(self, root: Path) -> None:
        """Use the file in the data folder ``root``; the first `add` creates it."""
        self._path = root / FILE_NAME
        self._feeds: set[Feed] = set()

    def add(self, outcome: Outcome) -> Outcome:
        """Store an outcome and return it with its id; raises StagingError."""
        body = json.dumps(outcome.to_json(), ensure_ascii=False)
        with self._connection() as connection, connection:
            connection.executescript(_SCHEMA)
            row = connection.execute(
                "INSERT INTO outcomes (uuid, body) VALUES (?, ?)", (outcome.uuid, body)
            )
            kept = replace(outcome, id=int(row.lastrowid or 0))
            _delete(
                connection,
                "uuid = ? AND id <= coalesce((SELECT id FROM outcomes"
                " WHERE uuid = ? ORDER BY id DESC LIMIT 1 OFFSET ?), 0)",
                (outcome.uuid, outcome.uuid, KEEP_PER_DEVICE),
            )
            _delete(connection, "id <= ?", (kept.id - KEEP_ALL,))
        return kept

    def recent(
        self,
        uuid: str | None = None,
        limit: int = 20,
        before: int | None = None,
        since: int = 0,
    ) -> list[dict[str, Any]]:
        """Return outcomes as `Outcome.to_json` renders them, newest first; raises StagingError.

        Only ids below ``before`` are returned, of later than ``since`` (ms); ``limit`` is at most PAGE_LIMIT.
        """
        if not self._path.exists():
            return []
        wanted = (
            "SELECT id, body FROM outcomes WHERE id < ? AND (? IS NULL OR uuid = ?)"
            " AND json_extract(body, '$.time') > ?"
        )
        limit = min(limit, PAGE_LIMIT)
        with self._connection() as connection:
            connection.executescript(_SCHEMA)
            rows = connection.execute(
                f"{wanted} ORDER BY id DESC LIMIT ?",
                (before or 2**63 - 1, uuid, uuid, since, limit),
            ).fetchall()
        return [_read(body) | {"id": number} for number, body in rows]

    def erase(self, texts: Texts) -> None:
        """Erase sentences, in the file too; raises StagingError."""
        if texts.until is not None:
            spoken = f" AND json_extract(body, '$.source') = '{VOICE}'" if texts.voice_only else ""
            wanted: list[tuple[str, tuple[object, ...]]] = [
                (f"uuid = ? AND {_TIME} <= ?{spoken}", (texts.uuid, texts.until))
            ]
            if texts.ahead is not None:
                between = f"uuid = ? AND {_TIME} > ? AND {_TIME} <= ?{spoken}"
                wanted.append((between, (texts.uuid, *texts.ahead)))
            self._erase(wanted)
            return
        near = f"uuid = ? AND json_extract(body, '$.utterance') = ? AND abs({_TIME} - ?) < ?"
        self._erase([(near, (texts.uuid, number, at, NEAR_MS)) for number, at in texts.spans])

    def erase_voice_before(self, time: int) -> None:
        """Erase what was spoken before a time (ms); raises StagingError."""
        self._erase([(f"{_TIME} < ? AND json_extract(body, '$.source') = '{VOICE}'", (time,))])

    def _erase(self, wanted: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        if not self._path.exists():
            return
        with self._connection() as connection:
            with connection:
                connection.executescript(_SCHEMA)
                for condition, values in wanted:
                    _delete(connection, condition, values)
            _rewrite(connection)
            # The log holds the pages of before until it is emptied.
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StagingError(f"{self._path}: its log is still being read")

    def publish(self, outcome: Outcome) -> None:
        """Send an outcome to the subscribers; call it in the event loop."""
        for feed in self._feeds:
            feed.put(outcome)

    @contextmanager
    def subscribe(self, uuid: str | None = None) -> Iterator[Feed]:
        """Subscribe to the future outcomes of one device, or of all, until the block ends."""
        feed = Feed(uuid)
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(
                sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, factory=Connection)
            ) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                # What is erased must not stay in the file.
                connection.execute("PRAGMA secure_delete=ON")
                connection.execute("PRAGMA temp_store=MEMORY")  # nor in a file of VACUUM's
                yield connection
        except sqlite3.Error as error:
            if is_damage(error):
                self._begin_anew(error)
            raise StagingError(f"{self._path}: {error}") from error

    def _begin_anew(self, error: sqlite3.Error) -> None:
        """Remove a damaged file: it is a log, and no erasing waits for it."""
        for path in self._path.parent.glob(f"{FILE_NAME}*"):
            with contextlib.suppress(OSError):  # the next one tries it again
                path.unlink(missing_ok=True)
        _log.error("%s: is damaged: %s; what was understood before is gone", self._path, error)


def _delete(connection: sqlite3.Connection, condition: str, values: Sequence[object]) -> None:
    gone = connection.execute(f"DELETE FROM outcomes WHERE {condition}", values)  # noqa: S608  # ours
    if gone.rowcount:
        connection.execute(f"PRAGMA user_version={_DELETED}")


def _rewrite(connection: sqlite3.Connection) -> None:
    """Write the file anew if something was deleted since it was: a copy may lie in a page's free room (docs/adr/0084).

    ``user_version`` tells it, also after a kill: 1 is a file with nothing in it but its rows.
    """
    if connection.execute("PRAGMA user_version").fetchone() != (_NOTHING_ELSE,):
        connection.execute("VACUUM")
        connection.execute(f"PRAGMA user_version={_NOTHING_ELSE}")


def _read(body: str) -> dict[str, Any]:
    """Read a stored outcome; those of earlier versions have neither kind nor nearest titles."""
    stored: dict[str, Any] = json.loads(body)
    kind = Kind.DONE if stored["done"] else Kind.FAILED
    return {"kind": kind.value, "nearest": []} | stored


class Feed:
    """A bounded queue of outcomes: ``async for outcome in feed``; drops the oldest when full."""

    def __init__(self, uuid: str | None) -> None:
        """Accept the outcomes of ``uuid``, or of all devices if it is None."""
        self._uuid = uuid
        self._queue: asyncio.Queue[Outcome] = asyncio.Queue(FEED_LIMIT)

    def put(self, outcome: Outcome) -> None:
        """Add an outcome, unless it is another device's."""
        if self._uuid not in (None, outcome.uuid):
            return
        if self._queue.full():
            with contextlib.suppress(asyncio.QueueEmpty):
                self._queue.get_nowait()
        self._queue.put_nowait(outcome)

    async def __aiter__(self) -> AsyncIterator[Outcome]:
        while True:
            yield await self._queue.get()
