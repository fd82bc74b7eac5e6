"""Takes entries of the audit log from console and API, and has them stored.

What changes something waits for its entry, so that a kill cannot lose it. A control request does not wait: its
entry is in the store within `FLUSH_SECONDS`, as the value that it read or set is.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable

from sqlalchemy.exc import SQLAlchemyError

from staging import spreadsheets
from staging.errors import StoreBusyError, level_of
from staging.store import Database, audit
from staging.store.audit import Entry
from staging.store.models import AuditEntry
from staging.times import Clock, iso

# How long an entry of a control may be in memory only; a kill loses it.
FLUSH_SECONDS = 0.5
# Seconds until a store that did not take them is tried again.
RETRY_SECONDS = 2.0
# Entries that wait for a store that is away; the oldest are dropped beyond it, and the log says so.
WAITING_LIMIT = 10_000
COLUMNS = (
    "time", "source", "actor", "role", "app", "action", "device", "target", "outcome",
)  # fmt: skip
HEAD = spreadsheets.head(COLUMNS)

_log = logging.getLogger(__name__)


class Audit:
    """Stores entries, at once or a little later."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Store in ``database``; ``clock`` gives ms."""
        self._database = database
        self.clock = clock
        self._waiting: deque[Entry] = deque()
        self._filled = asyncio.Event()

    async def add(self, entry: Entry) -> None:
        """Store an entry now, behind those that wait; if the store cannot take it, later."""
        self.note(entry)
        await self.save()

    def note(self, entry: Entry) -> None:
        """Have an entry stored soon."""
        if len(self._waiting) >= WAITING_LIMIT:
            dropped = self._waiting.popleft()
            _log.error("audit log: %s by %s is lost", dropped.action, dropped.actor)
        self._waiting.append(entry)
        self._filled.set()

    async def save(self) -> bool:
        """Store what waits; returns whether the store took it."""
        taken = list(self._waiting)
        self._waiting.clear()
        if not taken:
            return True
        try:
            await self._database.write(audit.add, taken)
        except (StoreBusyError, SQLAlchemyError) as error:
            _log.log(level_of(error), "the audit log waits: %s: %s", type(error).__name__, error)
            self._waiting.extendleft(reversed(taken))
            self._filled.set()
            return False
        return True

    async def keep_saving(self) -> None:
        """Store what comes within `FLUSH_SECONDS`, until cancelled."""
        while True:
            await self._filled.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            self._filled.clear()
            if not await self.save():
                await asyncio.sleep(RETRY_SECONDS)


def to_json(entry: AuditEntry) -> dict[str, object]:
    """Return a stored entry as operators and commands see it."""
    return {
        "id": entry.id,
        "time": iso(entry.ts),
        "source": entry.source,
        "actor": entry.actor,
        "role": entry.role,
        "app": entry.app,
        "action": entry.action,
        "device": entry.device,
        "target": entry.target,
        "outcome": entry.outcome,
    }


def to_csv(entries: Iterable[AuditEntry]) -> str:
    """Return entries as lines of CSV (RFC 4180) below `HEAD`; no cell is a formula to a spreadsheet."""
    shown = map(to_json, entries)
    return spreadsheets.lines([entry[name] for name in COLUMNS] for entry in shown)
