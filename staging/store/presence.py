"""When devices came on line and went, for the page of a device's life; bounded for each device and in time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    """Delete some of what is too old, then of what devices have too much; return how many, all if fewer than a step."""
    old = select(PresenceChange.id).where(PresenceChange.ts < now - KEEP_MS)
    gone = _delete(session, session.scalars(old.limit(STEP_ROWS)).all())
    return gone + _delete(session, _surplus(session, STEP_ROWS - gone))


def _surplus(session: Session, room: int) -> Sequence[int]:
    """Return the oldest changes beyond `EACH_LIMIT` of each device, at most ``room`` in all."""
    many = session.execute(
        select(PresenceChange.device_id, func.count())
        .group_by(PresenceChange.device_id).having(func.count() > EACH_LIMIT)
        .limit(room)
    ).all()  # fmt: skip
    found: list[int] = []
    for device_id, count in many:
        of_device = select(PresenceChange.id).where(PresenceChange.device_id == device_id)
        surplus = min(count - EACH_LIMIT, room - len(found))
        found += session.scalars(of_device.order_by(PresenceChange.id).limit(surplus))
    return found


def _delete(session: Session, found: Sequence[int]) -> int:
    if found:
        session.execute(delete(PresenceChange).where(PresenceChange.id.in_(found)))
    return len(found)
