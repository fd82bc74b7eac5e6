"""History entries for the values that the cloud read from devices or set on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from staging.store.history import AHEAD_MS, bring_back
from staging.store.models import KIND_RESOURCE, Device, Report


@dataclass(frozen=True, slots=True)
class Controlled:
    """A value of a device's data point, and its time (ms)."""

    device_id: int
    name: str
    value: object
    time: int


_LAST = (
    update(Device).where(Device.id == bindparam("device")).values(last_report_ms=bindparam("last"))
)


def append(session: Session, values: Sequence[Controlled]) -> None:
    """Add values to their devices' histories; skips devices that no longer exist, and families that have gone.

    It holds up the event loop as long as it computes, so it makes no object of a row.
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
    rows = []
    for value in values:
        if value.device_id in last and value.time > since[value.device_id]:
            ts = last[value.device_id] = max(value.time, last[value.device_id] + 1)
            rows.append({
                "device_id": value.device_id, "ts": ts, "key": value.name,
                "kind": KIND_RESOURCE, "value": value.value,
            })  # fmt: skip
    if rows:
        connection.execute(insert(Report), rows)
        told = [{"device": device_id, "last": ts} for device_id, ts in last.items()]
        connection.execute(_LAST, told)
