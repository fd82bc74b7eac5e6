"""A data point's values over time, reduced to what a chart can show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from staging.store.history import of_family
from staging.store.models import KIND_REPORT, KIND_RESOURCE, Report

# About as many points as a chart on the screen is wide.
SERIES_LIMIT = 600


@dataclass(frozen=True, slots=True)
class Value:
    """A value and its time in ms."""

    ts: int
    value: Any


def series(session: Session, device_id: int, key: str, start: int, end: int) -> list[Value]:
    """Return a data point's values from ``start`` to ``end`` (ms), oldest first.

    The value in effect at ``start`` comes first; repetitions of the value before are omitted. Of
    more than SERIES_LIMIT values only the last in each interval is kept, so that the size of a
    chart does not depend on how often a device reports.
    """
    values = _values(session, device_id, key)
    before = values.where(Report.ts < start).order_by(Report.ts.desc()).limit(1)
    held = session.scalars(before).first()
    within = values.where(Report.ts >= start, Report.ts <= end).order_by(Report.ts)
    found = list(session.scalars(within.limit(SERIES_LIMIT + 1)))
    if len(found) > SERIES_LIMIT:
        step = (end - start) // SERIES_LIMIT + 1
        times = within.order_by(None).group_by((Report.ts - start) // step)
        last = times.with_only_columns(func.max(Report.ts))
        found = list(session.scalars(values.where(Report.ts.in_(last)).order_by(Report.ts)))
    shown = [Value(report.ts, report.value) for report in found]
    return _changes(shown if held is None else [Value(start, held.value), *shown])


def _values(session: Session, device_id: int, key: str) -> Select[Any]:
    """Return the statement for a data point's reported values, or for those that were read."""
    of_point = (*of_family(device_id), Report.key == key)
    reported = select(Report.ts).where(*of_point, Report.kind == KIND_REPORT).limit(1)
    # A value that was read is stored with a slightly late time, so it is used only without reports.
    kind = KIND_RESOURCE if session.scalar(reported) is None else KIND_REPORT
    return select(Report).where(*of_point, Report.kind == kind)


def _changes(values: Iterable[Value]) -> list[Value]:
    """Omit each value that repeats the one before it."""
    kept: list[Value] = []
    for value in values:
        if not kept or kept[-1].value != value.value:
            kept.append(value)
    return kept
