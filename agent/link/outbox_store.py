"""What the outbox knows: the file's reports, those in memory, what is delivered and not yet deleted.

All of it runs in the outbox's one thread. A delivered report is remembered in memory at once, and
deleted with the next write: a disk that is full does not hold up the reports behind it, and a report
costs one sync instead of two. After kill -9 some of them are sent again, with the numbers they had.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.link.outbox_disk import Disk, DiskError
from agent.link.outbox_file import ONCE_LIMIT, OutboxFile, Sweep
from agent.link.outbox_held import FIRST_ID, Held, Memory
from agent.link.outbox_lanes import Lanes
from agent.link.outbox_rows import EACH_START, EACH_VERSION, BadRowError, Row, make_row, replaces
from wire.errors import show
from wire.records import dataclass
from wire.reports import KEY_TROUBLE, KEYS_SYSTEM

if TYPE_CHECKING:
    from agent.link.outbox_salvage import Salvaged

# Delivered reports that wait for their deletion; more cost a write of their own.
SWEEP_AT = 64
# Reports read at once while those that are delivered already are passed over.
READ_AT_ONCE = 256

_log = logging.getLogger(__name__)


class NotStoredError(Exception):
    """The report is in memory only, from where the cloud gets it as soon as there is a link."""


@dataclass(frozen=True, slots=True)
class Report:
    """A queued report.

    Attributes:
        id: its place in the outbox.
        row: the report.
        late: whether a newer value of its data point was delivered.
    """

    id: int
    row: Row
    late: bool = False

    @property
    def key(self) -> str:
        """The report's key."""
        return self.row.key

    @property
    def data(self) -> dict[str, object]:
        """The whole ``data`` object to send."""
        return self.row.data


class Store:
    """The queue; not thread-safe."""

    def __init__(
        self, path: Path, max_bytes: int, now: Callable[[], float], clock: Callable[[], float]
    ) -> None:
        """Keep up to ``max_bytes`` of reports (plus 1 %) in the file ``path``.

        ``now`` is the time of day, Unix seconds, and ``clock`` is monotonic.
        """
        self._disk = Disk(path, self, clock)
        self._max_bytes = self._unchecked = max_bytes
        self._now = now
        self._lanes = Lanes()
        self._memory = Memory()
        self._moved: dict[int, int] = {}
        self._done: set[int] = set()
        self._bad: dict[int, str] = {}
        self._floor = 0
        self._sent: set[int] = set()
        self._once_held: dict[str, int] = {}
        self._once_told: dict[str, None] = {}
        self._losses: list[dict[str, object]] = []
        self._epoch, self._number = secrets.token_hex(8), 0
        self.last_id = 0
        self.dropped = self._dropped_told = self._dropped_said = 0
        self.outdated = self._outdated_said = 0
        self.damaged = 0
        self.missing = 0

    # What the file tells of itself.

    def open(self) -> None:
        """Open the file; raises DiskError if reports are kept in memory for now."""
        try:
            self._disk.open()
        finally:
            self._tell_losses()

    def opened(self, file: OutboxFile) -> None:
        """Take up what waits in the file; what memory has of it already is there again."""
        file.name_old_rows(secrets.token_hex(8))
        self.last_id = max(self.last_id, file.last_id())
        for row_id, held in list(self._memory.held.items()):
            if held.origin is not None:
                self._memory.pop(row_id)
                self._move(row_id, held.origin)
        self._floor = 0
        self._load(file)

    def _load(self, file: OutboxFile) -> None:
        """Count what waits in the file and in memory."""
        self._lanes.load(file.counts(), file.system(), file.newest(), file.told())
        for row_id, held in self._memory.held.items():
            self._lanes.add(row_id, held.row.key)
        gone, self._done = sorted({*self._done, *self._bad}), set()
        for at in range(0, len(gone), READ_AT_ONCE):
            for row_id, row in file.rows(gone[at : at + READ_AT_ONCE]):
                self._lanes.remove(row_id, row.key)
                if row_id not in self._bad:
                    self._done.add(row_id)

    def unwritable(self, salvaged: Salvaged) -> None:
        """Keep in memory what was read of a file that cannot be written."""
        self.last_id = max(self.last_id, salvaged.last_id)
        for once in salvaged.once:
            self._remember(once)
        self._lanes.load({}, {}, {}, {})
        older = [Held(row, origin=n) for n, row in salvaged.rows.items() if n not in self._done]
        newer = [self._memory.pop(row_id) for row_id in list(self._memory.held)]
        for held in [*older, *(held for held in newer if held is not None)]:
            self._hold(held)

    def lost(self, salvaged: Salvaged, fault: str) -> None:
        """Tell of a damaged file, once: in the log, in the status, and to the cloud."""
        self.damaged += salvaged.damaged
        self.missing += salvaged.unseen
        text = f"outbox damaged ({fault}): {salvaged.describe()}"
        _log.error("%s; what it was is kept as outbox.sqlite.bad", text)
        self._losses.append({"part": "outbox", "text": text})

    def _note_bad(self, row_id: int, error: BadRowError) -> None:
        """Pass over a row that is no report; the next write sets it aside."""
        # SQLite has no checksums, so a worn card may corrupt a report unnoticed.
        if not self._bad:
            _log.error("outbox: a damaged report of %s is set aside: %s", show(error.key), error)
        self._bad[row_id] = str(error)
        self.damaged += 1
        if self._lanes.has(error.key):
            self._lanes.remove(row_id, error.key)
        else:  # the key itself was changed since it was counted
            self._disk.read(self._load)

    def _tell_losses(self) -> None:
        while self._losses:
            self._put(self._new_row(KEY_TROUBLE, self._losses.pop(0)), None)

    # Putting.

    @property
    def waiting(self) -> int:
        """The number of reports that wait."""
        return self._lanes.waiting

    def status(self) -> dict[str, object]:
        """Return what there is to tell of the queue: numbers of reports, and why some are in memory."""
        return {
            "waiting": self.waiting,
            "in_memory": len(self._memory),
            "dropped": self.dropped,
            "outdated": self.outdated,
            "damaged": self.damaged,
            "missing": self.missing,
            "trouble": self._disk.trouble,
        }

    def put(self, key: str, value: object, once: str | None = None) -> bool:
        """Queue a report; return whether it was queued, False if ``once`` was queued before.

        Raises:
            NotStoredError: it, or the earlier one of that name, is in memory only.
        """
        if once is not None and self._is_told(once):
            return False
        if is_new := once not in self._once_held:
            stored = self._put(self._new_row(key, value), once)
            self._tell_losses()
        else:
            stored = self.tend()
        if once is not None and not stored:
            raise NotStoredError(self._disk.trouble or "the disk takes nothing")
        return is_new

    def _is_told(self, once: str) -> bool:
        """Return whether a report of this name is stored or delivered."""
        if once in self._once_told:
            with contextlib.suppress(DiskError):
                self._disk.write(lambda file: file.claim(once))
            return True
        try:
            return self._disk.read(lambda file: file.has_once(once))
        except DiskError:
            return False

    def _new_row(self, key: str, value: object) -> Row:
        self._number += 1
        return make_row(key, value, self._epoch, self._number, int(self._now() * 1000))

    def _put(self, row: Row, once: str | None) -> bool:
        """Store a report, else hold it in memory; return whether it is on the disk."""
        drop = self._replaced(row)
        try:
            self._store([(row, once)], drop)
        except DiskError:
            row_id = self._hold(Held(row, once))
            if once is not None:
                self._once_held[once] = row_id
            self._forget(drop)
            self._done.update(n for n in drop if n < FIRST_ID)
            return False
        self._trim(row.size)
        return True

    def _replaced(self, row: Row) -> list[int]:
        """Return the ids of the reports that ``row`` makes needless (`replaces`); one that cannot be read and might have to stay, stays."""
        if row.key not in EACH_START:
            return []
        ids = self._lanes.of_key(row.key)
        if row.key not in EACH_VERSION:
            return ids
        held = self._memory.held
        rows = {row_id: held[row_id].row for row_id in ids if row_id in held}
        with contextlib.suppress(DiskError):
            rows |= self._read([row_id for row_id in ids if row_id < FIRST_ID])
        return [row_id for row_id in rows if replaces(row, rows[row_id])]

    def _store(self, new: Sequence[tuple[Row, str | None]], drop: Sequence[int] = ()) -> None:
        """Write ``new`` and what memory holds, and delete what is delivered; raises DiskError."""
        self._disk.make_ready()
        held = {n: h for n, h in self._memory.held.items() if n not in drop}
        rows = [*((h.row, h.once) for h in held.values()), *new]
        sweep = self._sweep()
        gone = [row_id for row_id in drop if row_id < FIRST_ID]
        before = self.last_id
        ids = self._disk.write(lambda file: file.write(rows, gone, sweep))
        self._lanes.settle(before)
        self._swept(sweep)
        self._forget(drop)
        for (row_id, found), new_id in zip(held.items(), ids, strict=False):
            self._memory.pop(row_id)
            self._move(row_id, new_id)
            self._lanes.move(row_id, found.row.key, new_id)
            self._once_held.pop(found.once or "", None)
        for (row, _once), new_id in zip(new, ids[len(held) :], strict=True):
            self._lanes.add(new_id, row.key)
        self.last_id = max([self.last_id, *ids])

    def _sweep(self) -> Sweep:
        # What was delivered from memory has no id in the file: it is newer than all in there.
        above = self.last_id + 1
        told = {key: n and min(n, above) for key, n in self._lanes.unsaved.items()}
        return Sweep(sorted(self._done), dict(self._bad), told)

    def _swept(self, sweep: Sweep) -> None:
        self._done.difference_update(sweep.done)
        self._lanes.saved(sweep.told)
        if sweep.bad:
            text = f"outbox: {len(sweep.bad)} damaged reports were set aside"
            self._losses.append({"part": "outbox", "text": text})
        for row_id in sweep.bad:
            self._bad.pop(row_id, None)

    def _move(self, row_id: int, new_id: int) -> None:
        if row_id in self._sent:  # its answer will name it by the old id
            self._moved[row_id] = new_id

    def _hold(self, held: Held) -> int:
        row_id = self._memory.add(held)
        self._lanes.add(row_id, held.row.key)
        excess = self._memory.excess(
            lambda n, key: (
                key not in KEYS_SYSTEM and not self._lanes.is_newest(n, key) and n not in self._sent
            )
        )
        self._forget(excess)
        self._note_dropped(len(excess))
        return row_id

    def _forget(self, ids: Iterable[int]) -> None:
        """Forget reports that wait no more: in memory, or deleted from the file."""
        for row_id in ids:
            held = self._memory.pop(row_id)
            key = self._lanes.key_of_system(row_id) if held is None else held.row.key
            if key is not None:
                self._lanes.remove(row_id, key)

    def _trim(self, added: int) -> None:
        """Drop the oldest data-point reports until the rest fits the limit; never a newest value."""
        # Summing up the table takes time, so it is done only once per 1 % of the limit.
        self._unchecked += added
        if self._unchecked * 100 < self._max_bytes:
            return
        self._unchecked = 0
        try:
            dropped = self._disk.write(self._trim_file)
        except DiskError:
            return
        for row_id, key in dropped.items():
            self._lanes.remove(row_id, key)
        self._note_dropped(len(dropped))

    def _trim_file(self, file: OutboxFile) -> dict[int, str]:
        excess, drop = file.bytes_waiting() - self._max_bytes, {}
        if excess <= 0:
            return {}
        for row_id, name, size in file.oldest():
            key = name.decode(errors="replace")
            kept = row_id in self._done or row_id in self._sent
            if kept or self._lanes.is_newest(row_id, key):
                continue
            drop[row_id] = key
            excess -= size
            if excess <= 0:
                break
        file.write([], list(drop), Sweep())
        return drop

    def _note_dropped(self, count: int) -> None:
        if count:
            self.dropped += count
            if self.dropped >= 2 * self._dropped_said:  # not once for each
                self._dropped_said = self.dropped
                _log.warning("outbox full: %d data-point reports dropped so far", self.dropped)
            self._tell_dropped()

    def _tell_dropped(self) -> None:
        """Tell the cloud how many were dropped, once at a time: the next when it has heard of these."""
        if self.dropped > self._dropped_told and not self._lanes.of_key(KEY_TROUBLE):
            self._dropped_told = self.dropped
            text = f"outbox full: {self.dropped} data-point reports dropped since the start"
            self._put(self._new_row(KEY_TROUBLE, {"part": "outbox", "text": text}), None)

    # Taking.

    def take(self, limit: int, *, in_order: bool) -> list[Report]:
        """Return up to ``limit`` reports to send next, without removing them.

        ``in_order``: the oldest ones; else as `Lanes` orders them, if more wait than ``limit``. All
        of fewer go at once, and in their order: the present state need not overtake them, and the
        cloud's history of a burst of values is right.

        Raises:
            DiskError: nothing in the file can be read, and memory has nothing.
        """
        if not self._lanes.waiting:
            self._sent = set()
            return []
        found = [] if in_order or self._lanes.waiting <= limit else self._first(limit)
        found = found or self._oldest(limit, in_order=in_order)
        self._sent = {report.id for report in found}
        return found

    def _first(self, limit: int) -> list[Report]:
        """Return what goes before the rest: none if it cannot be read, so that the rest goes on."""
        wanted = self._lanes.first(limit)
        try:
            stored = self._read([row_id for row_id in wanted if row_id < FIRST_ID])
        except DiskError:
            return []
        found = []
        for row_id, key in wanted.items():
            held = self._memory.held.get(row_id)
            row = stored.get(row_id) if held is None else held.row
            if row is not None:
                found.append(Report(row_id, row))
            elif row_id not in self._bad and self._disk.is_open:  # it is not in the file
                self._lanes.remove(row_id, key)
        return found

    def _read(self, ids: Sequence[int]) -> dict[int, Row]:
        if not ids:
            return {}
        found = self._disk.read(lambda file: file.rows(ids))
        return dict(self._sound(found))

    def _sound(self, found: Iterable[tuple[int, Row | BadRowError]]) -> Iterator[tuple[int, Row]]:
        """Yield the rows that are reports and wait; raises the floor over what is behind it."""
        for row_id, row in found:
            if isinstance(row, Row):
                if row_id not in self._done:
                    yield row_id, row
            elif row_id not in self._bad:
                self._note_bad(row_id, row)

    def _oldest(self, limit: int, *, in_order: bool) -> list[Report]:
        found: list[tuple[int, Row]] = []
        try:
            found = self._oldest_stored(limit)
        except DiskError:
            if self._disk.is_open and not self._memory:
                raise
        held = ((row_id, held.row) for row_id, held in self._memory.held.items())
        found += itertools.islice(held, limit - len(found))
        return [
            Report(n, row, late=not in_order and self._lanes.is_late(n, row.key))
            for n, row in found
        ]

    def _oldest_stored(self, limit: int) -> list[tuple[int, Row]]:
        found: list[tuple[int, Row]] = []
        after = self._floor
        while self._disk.is_open and len(found) < limit:
            rows = self._disk.read(lambda file, after=after: file.after(after, READ_AT_ONCE))  # type: ignore[misc]
            found += self._sound(rows)
            after = rows[-1][0] if rows else after
            if not found:
                self._floor = after  # all up to here is delivered
            if len(rows) < READ_AT_ONCE:
                break
        return found[:limit]

    def finish(self, reports: Sequence[Report], *, at_once: bool) -> None:
        """Note that the cloud has ``reports``; ``at_once``: also on the disk, if that takes it."""
        for report in reports:
            self._finish(report)
        if self._done and (at_once or len(self._done) >= SWEEP_AT):
            self.tend()

    def drop_late(self, reports: Sequence[Report]) -> None:
        """Drop reports that a newer value of their data point has overtaken, and count them."""
        self.finish(reports, at_once=False)
        self.outdated += len(reports)
        if self.outdated >= 10 * self._outdated_said:  # not once for each
            self._outdated_said = self.outdated
            _log.warning(
                "outbox: %d older values dropped so far: this cloud cannot take them late",
                self.outdated,
            )

    def _finish(self, report: Report) -> None:
        row_id = self._moved.pop(report.id, report.id)
        if report.row.is_system and self._lanes.key_of_system(row_id) is None:
            return  # a newer one has replaced it meanwhile
        if row_id >= FIRST_ID:
            held = self._memory.pop(row_id)
            if held is None:
                return
            if held.once is not None:
                self._once_held.pop(held.once, None)
                self._remember(held.once)
            if held.origin is not None:
                self._done.add(held.origin)
        else:
            self._done.add(row_id)
        self._lanes.deliver(row_id, report.key)
        if report.key == KEY_TROUBLE:
            self._tell_dropped()

    def _remember(self, once: str) -> None:
        self._once_told[once] = None
        while len(self._once_told) > ONCE_LIMIT:
            del self._once_told[next(iter(self._once_told))]

    @property
    def is_tidy(self) -> bool:
        """Whether the file is as it should be: `tend` has nothing to do."""
        return not (self._memory.held or self._done or self._bad or self._lanes.unsaved)

    def tend(self) -> bool:
        """Write what memory holds and delete what is delivered; return whether the disk took it."""
        if self.is_tidy:
            return self._disk.is_open
        try:
            self._store([])
        except DiskError:
            return False
        self._tell_losses()
        return True

    def close(self) -> None:
        """Write what is left, and close the file; says so if the disk did not take all."""
        self.tend()
        if self._memory.held:
            _log.error("outbox: %d reports in memory end with the agent", len(self._memory))
        self._disk.close()
