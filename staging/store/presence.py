"""When devices came on line and went, for the page of a device's life; bounded for each device and in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from staging.store.models import PresenceChange
from staging.store.retention import STEP_ROWS

# How long a change is kept: 90 days; and how many of one device, which may come and go each second.
KEEP_MS = 90 * 86_400_000
EACH_LIMIT = 2000
REASON_LIMIT = 255


@dataclass(frozen=True, slots=True)
class Change:
    """One change: which device (its number), when (ms), and why it went."""

    device_id: int
    ts: int
    online: bool
    reason: str = ""


def add(session: Session, changes: Iterable[Change]) -> None:
    """Store changes."""
    session.add_all(
        PresenceChange(
            device_id=change.device_id, ts=change.ts, online=change.online,
            reason=change.reason[:REASON_LIMIT],
        )
        for change in changes
    )  # fmt: skip


def prune(session: Session, now: int) -> int:
    """Delete some of what is too old, and of what one device has too much; return how many."""
    old = select(PresenceChange.id).where(PresenceChange.ts < now - KEEP_MS)
    found = list(session.scalars(old.limit(STEP_ROWS)))
    many = session.execute(
        select(PresenceChange.device_id, func.count())
        .group_by(PresenceChange.device_id).having(func.count() > EACH_LIMIT)
        .limit(1)
    ).first()  # fmt: skip
    if many is not None and not found:
        of_device = select(PresenceChange.id).where(PresenceChange.device_id == many[0])
        surplus = min(many[1] - EACH_LIMIT, STEP_ROWS)
        found = list(session.scalars(of_device.order_by(PresenceChange.id).limit(surplus)))
    if found:
        session.execute(delete(PresenceChange).where(PresenceChange.id.in_(found)))
    return len(found)
