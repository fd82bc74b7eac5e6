"""A device's history: reported and controlled values by page, and as a stream of reports.

The cursor of a page is the timestamp of its last entry; timestamps are unique within a device, so
the next page is all that is older (docs/adr/0004).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from staging.store.models import KIND_REPORT, Device, Report
from wire.reports import KEY_OTA_LOG

# How many of a device's newest logs to search for the latest update's; some may be of earlier ones.
LOGS_LIMIT = 5
# A report that took less time than this to arrive has not waited: the cloud's clock is better.
LIVE_MS = 10_000
# How many ms to look at together for one without an entry.
LATE_SEARCH = 256


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


def append(
    session: Session,
    device: Device,
    points: Iterable[HistoryPoint],
    now: int,
    when: When | None = None,
) -> None:
    """Add values at ``now``, or just after the device's last entry if the clock is not past it.

    A value that waited on the device is added at the time ``when`` it was; a late one behind the
    newer value of its key, so that the newest entry remains the present state.
    """
    for point in points:
        if when is not None and when.late:
            ts = _late_time(session, device, point, min(when.time, now))
        else:
            device.last_report_ms = ts = _time(device, now, when)
        session.add(
            Report(device_id=device.id, ts=ts, key=point.key, kind=point.kind, value=point.value)
        )


def _time(device: Device, now: int, when: When | None) -> int:
    waited = when is not None and now - when.time > LIVE_MS
    if when is not None and waited and when.time > device.last_report_ms:
        return when.time
    return max(now, device.last_report_ms + 1)


def _late_time(session: Session, device: Device, point: HistoryPoint, told: int) -> int:
    """Return the last free time at or before ``told`` that is before the key's newest entry."""
    of_device = select(Report.ts).where(Report.device_id == device.id)
    newest = select(func.max(Report.ts)).where(
        Report.device_id == device.id, Report.key == point.key, Report.kind == point.kind
    )
    before = session.scalar(newest)
    ts = told if before is None else min(told, before - 1)
    while True:
        near = of_device.where(Report.ts <= ts, Report.ts > ts - LATE_SEARCH)
        taken = set(session.scalars(near))
        free = next((at for at in range(ts, ts - LATE_SEARCH, -1) if at not in taken), None)
        if free is not None:
            return free
        ts -= LATE_SEARCH


def page(session: Session, device_id: int, query: Query) -> Page:
    """Return one page of a device's history."""
    statement = select(Report).where(Report.device_id == device_id)
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
    statement = select(Report).where(Report.device_id == device_id, Report.kind == KIND_REPORT)
    if after is None:
        latest = session.scalars(statement.order_by(Report.ts.desc()).limit(limit))
        return list(reversed(list(latest)))
    return list(
        session.scalars(statement.where(Report.ts > after).order_by(Report.ts).limit(limit))
    )


def trial_log(session: Session, device_id: int, task_id: int) -> list[str]:
    """Return the last log lines of a version that was rolled back; [] if none were reported."""
    logs = select(Report.value).where(Report.device_id == device_id, Report.key == KEY_OTA_LOG)
    return lines_of(session.scalars(logs.order_by(Report.ts.desc()).limit(LOGS_LIMIT)), task_id)


def lines_of(logs: Iterable[object], task_id: int) -> list[str]:
    """Return the lines of the first log of that update; values from a device may have any form."""
    for log in logs:
        if isinstance(log, dict) and log.get("transaction") == str(task_id):
            lines = log.get("lines")
            return [str(line) for line in lines] if isinstance(lines, list) else []
    return []
