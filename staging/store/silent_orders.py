"""Orders that nobody gave: what a silent strategy orders for which device, and when."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from staging.store import ota, rollouts
from staging.store.models import Device, OtaTask, Strategy
from staging.store.order_rules import ACTIVE, Status
from staging.store.releases import Offer, StrategyType
from staging.store.rollout_models import Rollout

# A failed silent update is retried after a pause, a limited number of times; by a rollout that has phases, once:
# a second failure is no chance any more (`staging.rollouts.evidence`). A retry by hand is one more.
SILENT_TRIES = 3
PHASED_TRIES = 2
SILENT_PAUSE_MS = 3_600_000
# Made once: making a statement takes longer than asking it, and every device is asked for.
_DEVICE = select(Device).where(Device.uuid == bindparam("uuid"))
_TRIES = select(func.count(), func.max(OtaTask.update_time), func.max(OtaTask.id)).where(
    OtaTask.device_id == bindparam("device"), OtaTask.strategy_id == bindparam("strategy")
)


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a device is due for an order: ``offer`` now, or something may be after ``wait`` ms."""

    offer: Offer | None = None
    wait: int | None = None


def due(session: Session, uuid: str, now: int) -> Due:
    """Return whether a silent strategy orders something for a device at ``now`` (ms).

    A device with an update in progress is skipped. After a failure a strategy is tried again after
    `SILENT_PAUSE_MS`, and a limited number of times in all.
    """
    device = session.scalar(_DEVICE, {"uuid": uuid})
    if device is None or ota.active(session, device.id) is not None:
        return Due()
    silent = StrategyType.SILENT.value
    best = next((o for o in ota.offered(session, device) if o.strategy.type == silent), None)
    if best is None:
        return Due()
    wait = _pause(session, device.id, best.strategy.id, now)
    if wait == 0:
        wait = rollouts.pace_wait(session, best.strategy.id, now)
    if wait is None:
        return Due()
    return Due(wait=wait) if wait else Due(best)


def order(session: Session, uuid: str, now: int) -> OtaTask | None:
    """Order what is due for a device; None if nothing is."""
    best = due(session, uuid, now).offer
    if best is None:
        return None
    device = session.scalars(_DEVICE, {"uuid": uuid}).one()
    return ota.add_task(session, device, best.package.id, best.strategy.id, now)


def _pause(session: Session, device_id: int, strategy_id: int, now: int) -> int | None:
    """Return how long a device waits after its last try, ms; None: it had all of its tries."""
    wanted = {"device": device_id, "strategy": strategy_id}
    tries, last, latest = session.execute(_TRIES, wanted).one()
    row = rollouts.row_of(session, strategy_id)
    if row is not None and row.retry_time is not None and _failed_before(session, latest, row):
        return 0 if tries <= tries_of(row) else None
    if tries >= tries_of(row):
        return None
    return 0 if last is None else max(0, last + SILENT_PAUSE_MS - now)


def tries_of(row: Rollout | None) -> int:
    """Return how often a device is ordered the same without anybody's asking."""
    return PHASED_TRIES if row is not None and row.phases else SILENT_TRIES


def _failed_before(session: Session, task_id: int | None, row: Rollout) -> bool:
    """Return whether a device's last order failed before somebody asked for another one."""
    task = None if task_id is None else session.get(OtaTask, task_id)
    if task is None or row.retry_time is None or task.status != Status.FAILED:
        return False
    return (task.end_time or task.update_time) <= row.retry_time


def running(session: Session, since: int, until: int) -> int:
    """Count the silent updates in progress that changed from ``since`` to ``until`` (ms).

    What changed later did so while our clock was ahead.
    """
    statement = (
        select(func.count())
        .select_from(OtaTask)
        .join(Strategy, Strategy.id == OtaTask.strategy_id)
        .where(
            OtaTask.status.in_([status.value for status in ACTIVE]),
            OtaTask.update_time.between(since, until),
            Strategy.type == StrategyType.SILENT.value,
        )
    )
    return session.scalar(statement) or 0
