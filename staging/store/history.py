"""A device's history: reported and controlled values by page, and as a stream of reports.

The cursor of a page is the timestamp of its last entry; timestamps are unique within a device, so
the next page is all that is older (docs/adr/0004).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol

from sqlalchemy import ColumnElement, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from staging.store.models import KIND_REPORT, Device, Erasure, Report, VoiceEntry
from staging.store.prepared import Prepared
from wire.reports import KEY_OTA_LOG

# How many of a device's newest logs to search for the latest update's; some may be of earlier ones.
LOGS_LIMIT = 5
# A report that took less time than this to arrive has not waited: the cloud's clock is better.
LIVE_MS = 10_000
# Late values come oldest first: the ms before and after one whose entries are looked up together.
LATE_BEFORE, LATE_AFTER = 1000, 600_000
# An entry further ahead than this (ms) is from a time when our clock was wrong. Clocks that are set to the
# network's time step by less.
AHEAD_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """A value for a device's history; ``value`` is JSON."""

    key: str
    value: object
    kind: str = KIND_REPORT


@dataclass(frozen=True, slots=True)
class Query:
    """A filter for entries; times in ms, both ends included; None does not restrict."""

    key: str | None = None
    kind: str | None = None
    start: int | None = None
    end: int | None = None
    before: int | None = None
    """The cursor: only entries older than this."""
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first, and the cursor of the next page (None on the last page)."""

    entries: list[Report]
    next_page: int | None


@dataclass(frozen=True, slots=True)
class When:
    """When a device had a value.

    Attributes:
        time: by the device's clock, UTC in ms.
        late: whether the cloud has got a newer value of the key already.
    """

    time: int
    late: bool


class Marked(Protocol):
    """A device, as far as the times of its entries go: the row's object, or `Marks`."""

    @property
    def id(self) -> int:
        """The device's number."""

    last_report_ms: int
    family_since: int


@dataclass(slots=True)
class Marks:
    """What most reports change of a device, without the object of its whole row."""

    id: int
    last_report_ms: int
    last_heartbeat_time: int | None
    family_since: int
    battery: int | None
    volume: int | None


class Places:
    """Finds the times of one device's values in a transaction, and writes them all at once."""

    def __init__(self, session: Session, device: Marked, now: int) -> None:
        """Place values that arrive at ``now`` (ms)."""
        self._session = session
        self._device = device
        self._now = now
        self._newest: dict[tuple[str, str], int | None] = {}
        self._taken: set[int] = set()
        self._seen: range = range(0)
        """The times whose entries are in `_taken`."""
        self._rows: list[dict[str, Any]] = []
        if device.last_report_ms > now + AHEAD_MS:
            device.last_report_ms, device.family_since = bring_back(session, device.id, now)

    def add(self, point: HistoryPoint, when: When | None) -> None:
        """Give a value its time, and keep it for `write`, unless it is of a family that has gone."""
        if is_gone(self._device, when):
            return
        ts = self.time(point, when)
        if ts <= self._device.family_since:  # late, and put before a value of that time
            return
        self._rows.append({
            "device_id": self._device.id, "ts": ts, "key": point.key,
            "kind": point.kind, "value": point.value,
        })  # fmt: skip

    def write(self) -> None:
        """Write the values that were added, without an object for each."""
        if self._rows:
            _INSERT.run(self._session.connection(), *self._rows)
            self._rows = []

    def time(self, point: HistoryPoint, when: When | None) -> int:
        """Return the time of a value.

        It is now, or just after the device's last entry if the clock is not past it. A value that
        waited on the device has the time ``when`` it was; a late one is before the newest entry of its
        key, which so remains the present state.
        """
        if when is not None and when.late:
            ts = self._late(point, min(when.time, self._now))
            # Nothing after it gets its time, neither in this millisecond nor as what waited since then.
            self._device.last_report_ms = max(self._device.last_report_ms, ts)
        else:
            self._device.last_report_ms = ts = self._next(when)
            self._newest[point.key, point.kind] = ts
        self._taken.add(ts)
        return ts

    def _next(self, when: When | None) -> int:
        last = self._device.last_report_ms
        if when is not None and self._now - when.time > LIVE_MS and when.time > last:
            return when.time
        return max(self._now, last + 1)

    def _late(self, point: HistoryPoint, told: int) -> int:
        """Return the last free time at or before ``told`` and the key's newest entry."""
        newest = self._newest_of(point)
        ts = told if newest is None else min(told, newest - 1)
        while self._is_taken(ts):
            ts -= 1
        return ts

    def _newest_of(self, point: HistoryPoint) -> int | None:
        name = (point.key, point.kind)
        if name not in self._newest:
            of_key = (Report.device_id == self._device.id, Report.key == point.key)
            newest = select(func.max(Report.ts)).where(*of_key, Report.kind == point.kind)
            self._newest[name] = self._session.scalar(newest)
        return self._newest[name]

    def _is_taken(self, ts: int) -> bool:
        if ts not in self._seen:
            self._seen = range(ts - LATE_BEFORE, ts + LATE_AFTER)
            near = (Report.ts >= self._seen.start, Report.ts < self._seen.stop)
            found = select(Report.ts).where(Report.device_id == self._device.id, *near)
            self._taken.update(self._session.scalars(found))
        return ts in self._taken


_INSERT = Prepared(insert(Report), ("device_id", "ts", "key", "kind", "value"))


def of_family(device_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions for the reports of a device that are of the family it has now.

    Every statement that shows reports has them: what is of a family that has gone is cut off at once, and
    deleted a little later (`staging.store.family`).
    """
    since = select(Device.family_since).where(Device.id == device_id).scalar_subquery()
    return Report.device_id == device_id, Report.ts > since


def is_gone(device: Marked, when: When | None) -> bool:
    """Return whether a value is of the time of a family that has gone."""
    return when is not None and when.time <= device.family_since


def append(
    session: Session,
    device: Device,
    points: Iterable[HistoryPoint],
    now: int,
    when: When | None = None,
) -> None:
    """Add values. What is of a family that has gone is left out."""
    places = Places(session, device, now)
    for point in points:
        places.add(point, when)
    places.write()


def bring_back(session: Session, device_id: int, now: int) -> tuple[int, int]:
    """Move a device's entries of the future to just before ``now``; return the newest one's time, and `Device.family_since`.

    They came while our clock was ahead. Otherwise they would be the present state until then, and each later
    entry would come after them. Their distances are kept where that leaves them after the others. The ledger
    of the voice goes with them, and so does the end of a family that has gone meanwhile, and of what is to be
    erased of it: between the same entries as before, so that nothing of the next family is on the wrong side.
    """
    of_device = Report.device_id == device_id
    before = session.scalar(select(func.max(Report.ts)).where(of_device, Report.ts <= now)) or 0
    moves = _moves(session, device_id, before, now)
    connection = session.connection()
    for column, to in _TIMES:
        table = column.class_
        ahead = select(column).where(table.device_id == device_id, column > now)
        found = connection.scalars(ahead.distinct().order_by(column)).all()
        one = (
            update(table)
            .where(table.device_id == device_id, column == bindparam("old"))
            .values({column.key: bindparam("new")})
        )
        if found:
            told = [{"old": ts, "new": to(ts, moves, now)} for ts in found]
            connection.execute(one, told)
    of_family = select(Device.family_since).where(Device.id == device_id)
    since = connection.scalar(of_family) or 0
    if since > now:
        since = _end_moved(since, moves, now)
        connection.execute(update(Device).where(Device.id == device_id).values(family_since=since))
    return (moves[-1][1] if moves else before), since


_Moves = Sequence[tuple[int, int]]


def _moved(ts: int, moves: _Moves, now: int) -> int:
    """Return where an entry of the future comes: where the report of that time came, or before the next one."""
    place = bisect_left(moves, ts, key=itemgetter(0))
    if place < len(moves) and moves[place][0] == ts:
        return moves[place][1]
    return _end_moved(ts, moves, now)


def _end_moved(ts: int, moves: _Moves, now: int) -> int:
    """Return where an end comes that was at ``ts``: just before the first report after it, or before now."""
    place = bisect_right(moves, ts, key=itemgetter(0))
    return (moves[place][1] if place < len(moves) else now) - 1


_TIMES = (
    (Report.ts, _moved),
    (VoiceEntry.start, _moved),
    (VoiceEntry.last, _moved),
    (Erasure.until, _end_moved),
)
"""The columns with times of a device's entries, and up to when something is to be erased."""


def _moves(session: Session, device_id: int, before: int, now: int) -> list[tuple[int, int]]:
    """Return the old and the new times of the reports after ``now``, oldest first; those up to it end at ``before``."""
    of_device = Report.device_id == device_id
    ahead = select(Report.ts).where(of_device, Report.ts > now).order_by(Report.ts)
    times = session.scalars(ahead).all()
    if not times:
        return []
    shift = times[-1] - now + 1
    fits = times[0] - shift > before
    return [(ts, ts - shift if fits else before + place) for place, ts in enumerate(times, 1)]


def page(session: Session, device_id: int, query: Query) -> Page:
    """Return one page of a device's history."""
    statement = select(Report).where(*of_family(device_id))
    if query.key is not None:
        statement = statement.where(Report.key == query.key)
    if query.kind is not None:
        statement = statement.where(Report.kind == query.kind)
    if query.start is not None:
        statement = statement.where(Report.ts >= query.start)
    if query.end is not None:
        statement = statement.where(Report.ts <= query.end)
    if query.before is not None:
        statement = statement.where(Report.ts < query.before)
    # One entry more than requested shows whether there is a next page.
    entries = list(session.scalars(statement.order_by(Report.ts.desc()).limit(query.limit + 1)))
    more = len(entries) > query.limit
    entries = entries[: query.limit]
    return Page(entries, entries[-1].ts if more else None)


def reports(session: Session, device_id: int, after: int | None, limit: int) -> list[Report]:
    """Return a device's reports after ``after`` (ms), oldest first; None: its latest ones."""
    statement = select(Report).where(*of_family(device_id), Report.kind == KIND_REPORT)
    if after is None:
        latest = session.scalars(statement.order_by(Report.ts.desc()).limit(limit))
        return list(reversed(list(latest)))
    return list(
        session.scalars(statement.where(Report.ts > after).order_by(Report.ts).limit(limit))
    )


def after(session: Session, device_id: int, ts: int, limit: int) -> list[Report]:
    """Return a device's entries of every kind after ``ts`` (ms), oldest first."""
    later = select(Report).where(*of_family(device_id), Report.ts > ts)
    return list(session.scalars(later.order_by(Report.ts).limit(limit)))


def trial_log(session: Session, device_id: int, task_id: int) -> list[str]:
    """Return the last log lines of a version that was rolled back; [] if none were reported."""
    logs = select(Report.value).where(*of_family(device_id), Report.key == KEY_OTA_LOG)
    return lines_of(session.scalars(logs.order_by(Report.ts.desc()).limit(LOGS_LIMIT)), task_id)


def lines_of(logs: Iterable[object], task_id: int) -> list[str]:
    """Return the lines of the first log of that update; values from a device may have any form."""
    for log in logs:
        if isinstance(log, dict) and log.get("transaction") == str(task_id):
            lines = log.get("lines")
            return [str(line) for line in lines] if isinstance(lines, list) else []
    return []
