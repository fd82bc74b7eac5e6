"""A device's history: reported and controlled values by page, and as a stream of reports.

The cursor of a page is the timestamp of its last entry; timestamps are unique within a device, so
the next page is all that is older (docs/adr/0004).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from staging.store.models import KIND_REPORT, Device, Report
from wire.reports import KEY_OTA_LOG

# How many of a device's newest logs to search for the latest update's; some may be of earlier ones.
LOGS_LIMIT = 5
# A report that took less time than this to arrive has not waited: the cloud's clock is better.
LIVE_MS = 10_000
# Late values come oldest first: the ms before and after one whose entries are looked up together.
LATE_BEFORE, LATE_AFTER = 1000, 600_000


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


class Places:
    """Finds the times of one device's values in a transaction; asks the store once for many of them."""

    def __init__(self, session: Session, device: Device, now: int) -> None:
        """Place values that arrive at ``now`` (ms)."""
        self._session = session
        self._device = device
        self._now = now
        self._newest: dict[tuple[str, str], int | None] = {}
        self._taken: set[int] = set()
        self._seen: range = range(0)
        """The times whose entries are in `_taken`."""

    def time(self, point: HistoryPoint, when: When | None) -> int:
        """Return the time of a value.

        It is now, or just after the device's last entry if the clock is not past it. A value that
        waited on the device has the time ``when`` it was; a late one is before the newest entry of its
        key, which so remains the present state.
        """
        if when is not None and when.late:
            ts = self._late(point, min(when.time, self._now))
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


def of_family(device_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions for the reports of a device that are of the family it has now.

    Every statement that shows reports has them: what is of a family that has gone is cut off at once, and
    deleted a little later (`staging.store.family`).
    """
    since = select(Device.family_since).where(Device.id == device_id).scalar_subquery()
    return Report.device_id == device_id, Report.ts > since


def is_gone(device: Device, when: When | None) -> bool:
    """Return whether a value is of the time of a family that has gone."""
    return when is not None and when.time <= device.family_since


def append(
    session: Session,
    device: Device,
    points: Iterable[HistoryPoint],
    now: int,
    when: When | None = None,
    places: Places | None = None,
) -> None:
    """Add values; ``places`` (or a new one) finds their times. What is of a family that has gone is left out."""
    if is_gone(device, when):
        return
    places = places or Places(session, device, now)
    for point in points:
        ts = places.time(point, when)
        if ts <= device.family_since:  # late, and put before a value of that time
            continue
        row = Report(device_id=device.id, ts=ts, key=point.key, kind=point.kind, value=point.value)
        session.add(row)


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
