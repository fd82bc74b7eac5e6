"""History entries for the values that the cloud read from devices or set on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from staging.store import many_rows
from staging.store.history import AHEAD_MS, bring_back
from staging.store.many_rows import JSON, NUMBER, WORDS
from staging.store.models import KIND_RESOURCE, Device


@dataclass(frozen=True, slots=True)
class Controlled:
    """A value of a device's data point, and its time (ms)."""

    device_id: int
    name: str
    value: object
    time: int


_REPORTS = (("device_id", NUMBER), ("ts", NUMBER), ("key", WORDS), ("kind", WORDS), ("value", JSON))
_LAST = (("device", NUMBER), ("last", NUMBER))


def append(session: Session, values: Sequence[Controlled]) -> None:
    """Add values to their devices' histories; skips devices that no longer exist, and families that have gone.

    It holds up the event loop as long as it computes, so it makes no object of a row, and few statements.
    """
    connection = session.connection()
    wanted = {value.device_id for value in values}
    known = select(Device.id, Device.last_report_ms, Device.family_since).where(
        Device.id.in_(wanted)
    )
    now = min(value.time for value in values)
    last: dict[int, int] = {}
    since: dict[int, int] = {}
    for device_id, newest, gone in connection.execute(known):
        found = bring_back(session, device_id, now) if newest > now + AHEAD_MS else (newest, gone)
        last[device_id], since[device_id] = found
    for part in many_rows.parts_of(values):
        rows = []
        for value in part:
            if value.device_id in last and value.time > since[value.device_id]:
                ts = last[value.device_id] = max(value.time, last[value.device_id] + 1)
                told = json.dumps(value.value)
                rows.append((value.device_id, ts, value.name, KIND_RESOURCE, told))
        many_rows.insert(connection, "reports", _REPORTS, rows)
    if last:
        _note_last(connection, last)


def _note_last(connection: Connection, last: Mapping[int, int]) -> None:
    """Note the time of each device's newest entry."""
    newest = many_rows.selection(_LAST, connection.dialect.name)
    statement = f"UPDATE devices SET last_report_ms = told.last FROM ({newest}) AS told WHERE devices.id = told.device"  # noqa: S608  # names of ours
    connection.execute(text(statement), {many_rows.ROWS: json.dumps(list(last.items()))})
