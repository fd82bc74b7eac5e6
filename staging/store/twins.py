"""Which devices are two machines with one identity: since when the last sign of that is, so that a process that comes, or another one, knows it.

What makes it certain is counted in memory (`staging.gateway.twins`). A row is there for as long as its sign counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from staging.store.fleet_models import Twin
from staging.store.models import Device


def note(session: Session, signs: Mapping[str, int], now: int, window: int) -> None:
    """Store the last signs of devices, by uuid (ms), and forget those that do not count any more; ``window``: for how long one does (ms)."""
    too_old, too_new = Twin.sign_time <= now - window, Twin.sign_time > now + window
    session.execute(delete(Twin).where(or_(too_old, too_new)))
    for number, uuid in session.execute(
        select(Device.id, Device.uuid).where(Device.uuid.in_(signs))
    ):
        row = session.get(Twin, number)
        if row is None:
            session.add(Twin(device_id=number, sign_time=signs[uuid]))
        else:
            row.sign_time = max(row.sign_time, signs[uuid])


def since(session: Session, after: int) -> list[tuple[str, int]]:
    """Return the devices with a sign after ``after`` (ms), by uuid, and when that was."""
    found = select(Device.uuid, Twin.sign_time).join(Device, Device.id == Twin.device_id)
    rows = session.execute(found.where(Twin.sign_time > after).order_by(Twin.sign_time))
    return [(uuid, time) for uuid, time in rows]
