"""Store queries that only the console needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, func, or_, select
from sqlalchemy.orm import Session, aliased

from staging.console.speech import SEGMENTS_LIMIT, StoredSegment, Utterance, group
from staging.store.models import (
    KIND_REPORT,
    KIND_RESOURCE,
    Account,
    Batch,
    Binding,
    Device,
    OsVersion,
    OtaTask,
    Package,
    Product,
    Report,
)
from wire.errors import WireError
from wire.reports import KEY_OTA_LOG, KEYS_VOICE
from wire.voice import parse_segment

# The data points that the list shows of each device, by their names in open API 3.1.
BATTERY, VOLUME = "power", "volume"
DEVICES_LIMIT = 500
# How many of a device's newest logs to search for the latest update's; some may be of earlier ones.
LOGS_LIMIT = 5
# About as many points as a chart on the screen is wide.
SERIES_LIMIT = 600


@dataclass(frozen=True, slots=True)
class Value:
    """A reported value and its time in ms."""

    ts: int
    value: Any


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One line of the list of devices."""

    device: Device
    os_version: str
    batch: str
    product: str
    account_id: int | None
    owner: str | None
    values: dict[str, Value]
    task: OtaTask | None
    target: str | None
    """The target version of the latest task."""


def _latest(key: str) -> ColumnElement[int | None]:
    """Return the time of a value's last report; without any, the last time it was read."""

    # One index seek for each device, however long its history is.
    def newest(kind: str) -> ScalarSelect[int | None]:
        return (
            select(func.max(Report.ts))
            .where(Report.device_id == Device.id, Report.kind == kind, Report.key == key)
            .correlate(Device)
            .scalar_subquery()
        )

    return func.coalesce(newest(KIND_REPORT), newest(KIND_RESOURCE))


_TASK_ID = (
    select(func.max(OtaTask.id))
    .where(OtaTask.device_id == Device.id)
    .correlate(Device)
    .scalar_subquery()
)
_BATTERY, _VOLUME = aliased(Report), aliased(Report)
_TARGET = aliased(OsVersion)
_ROWS = (
    select(
        Device,
        OsVersion.version,
        Batch.name,
        Product.name,
        Account.id,
        Account.user_name,
        _BATTERY,
        _VOLUME,
        OtaTask,
        _TARGET.version,
    )
    .join(OsVersion, OsVersion.id == Device.os_version_id)
    .join(Batch, Batch.id == Device.batch_id)
    .join(Product, Product.id == Device.product_id)
    .outerjoin(Binding, Binding.device_id == Device.id)
    .outerjoin(Account, Account.id == Binding.account_id)
    .outerjoin(_BATTERY, (_BATTERY.device_id == Device.id) & (_BATTERY.ts == _latest(BATTERY)))
    .outerjoin(_VOLUME, (_VOLUME.device_id == Device.id) & (_VOLUME.ts == _latest(VOLUME)))
    .outerjoin(OtaTask, OtaTask.id == _TASK_ID)
    .outerjoin(Package, Package.id == OtaTask.package_id)
    .outerjoin(_TARGET, _TARGET.id == Package.os_version_id)
)


def rows(session: Session, uuids: set[str] | None = None, search: str = "") -> list[DeviceRow]:
    """Return devices, those with the latest heartbeat first, at most DEVICES_LIMIT.

    Args:
        session: the transaction.
        uuids: only these devices; None: all.
        search: only devices whose uuid or name contains it.
    """
    statement = _matching(_ROWS, search)
    if uuids is not None:
        statement = statement.where(Device.uuid.in_(uuids))
    newest = func.coalesce(Device.last_heartbeat_time, 0).desc()
    found = session.execute(statement.order_by(newest, Device.id).limit(DEVICES_LIMIT))
    return [_row(*row) for row in found]


def count(session: Session, search: str = "") -> int:
    """Return the number of devices that match ``search``."""
    statement = _matching(select(func.count()).select_from(Device), search)
    return session.scalar(statement) or 0


def _matching(statement: Any, search: str) -> Any:
    if not search:
        return statement
    found = (
        Device.uuid.contains(search.lower(), autoescape=True),
        Device.name.contains(search, autoescape=True),
    )
    return statement.where(or_(*found))


def _row(  # noqa: PLR0913, PLR0917  # the columns of one statement
    device: Device,
    version: str,
    batch: str,
    product: str,
    account_id: int | None,
    owner: str | None,
    battery: Report | None,
    volume: Report | None,
    task: OtaTask | None,
    target: str | None,
) -> DeviceRow:
    values = {r.key: Value(r.ts, r.value) for r in (battery, volume) if r is not None}
    return DeviceRow(device, version, batch, product, account_id, owner, values, task, target)


def product_points(session: Session, product_id: int) -> dict[str, Any]:
    """Return a product's data points, used for devices without a description of their own."""
    return session.get_one(Product, product_id).data_points


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


def lines_of(told: Iterable[object], task_id: int) -> list[str]:
    """Return the lines of the first log of that update; values from a device may have any form."""
    for log in told:
        if isinstance(log, dict) and log.get("transaction") == str(task_id):
            lines = log.get("lines")
            return [str(line) for line in lines] if isinstance(lines, list) else []
    return []


def utterances(
    session: Session, device_id: int, before: int | None, limit: int
) -> tuple[list[Utterance], int | None]:
    """Return a page of utterances, newest first, and the next page's cursor, None at the end."""
    wanted = min(SEGMENTS_LIMIT, limit * 64)
    statement = _voice(device_id).order_by(Report.ts.desc()).limit(wanted)
    if before is not None:
        statement = statement.where(Report.ts < before)
    found = list(session.scalars(statement))
    grouped = group(_stored(reversed(found)))
    more = len(found) == wanted
    if more and len(grouped) > 1:
        grouped = grouped[1:]  # its beginning may be on the next page
    kept = grouped[-limit:]
    more = more or len(kept) < len(grouped)
    return kept[::-1], kept[0].start if more and kept else None


def utterance(session: Session, device_id: int, start: int, number: int) -> Utterance | None:
    """Return the utterance ``number`` whose first segment arrived at ``start`` (ms), or None."""
    statement = _voice(device_id).where(Report.ts >= start)
    found = session.scalars(statement.order_by(Report.ts).limit(SEGMENTS_LIMIT))
    grouped = group(_stored(found))
    first = grouped[0] if grouped else None
    return first if first and (first.start, first.id) == (start, number) else None


def _voice(device_id: int) -> Any:
    return select(Report).where(Report.device_id == device_id, Report.key.in_(KEYS_VOICE))


def _stored(found: Any) -> Any:
    for report in found:
        try:
            yield StoredSegment(report.ts, parse_segment(report.value))
        except WireError:
            continue  # the gateway refuses such a report, but an older store may contain one


def series(session: Session, device_id: int, key: str, start: int, end: int) -> list[Value]:
    """Return a data point's values from ``start`` to ``end`` (ms), oldest first, for a chart.

    The value in effect at ``start`` comes first; repetitions of the value before are omitted. Of
    more than SERIES_LIMIT values only the last in each interval is kept, so that the size of a
    chart does not depend on how often a device reports.
    """
    of_point = (Report.device_id == device_id, Report.key == key)
    told = select(Report.ts).where(*of_point, Report.kind == KIND_REPORT).limit(1)
    # A value that was read is stored with a slightly late time, so it is used only without reports.
    kind = KIND_RESOURCE if session.scalar(told) is None else KIND_REPORT
    statement = select(Report).where(*of_point, Report.kind == kind)
    held = session.scalars(
        statement.where(Report.ts < start).order_by(Report.ts.desc()).limit(1)
    ).first()
    shown = [] if held is None else [Value(start, held.value)]
    within = statement.where(Report.ts >= start, Report.ts <= end).order_by(Report.ts)
    found = list(session.scalars(within.limit(SERIES_LIMIT + 1)))
    if len(found) > SERIES_LIMIT:
        step = (end - start) // SERIES_LIMIT + 1
        last_of = (
            select(func.max(Report.ts))
            .where(*of_point, Report.kind == kind, Report.ts >= start, Report.ts <= end)
            .group_by((Report.ts - start) // step)
        )
        found = list(session.scalars(statement.where(Report.ts.in_(last_of)).order_by(Report.ts)))
    for report in found:
        if not shown or shown[-1].value != report.value:
            shown.append(Value(report.ts, report.value))
    return shown
