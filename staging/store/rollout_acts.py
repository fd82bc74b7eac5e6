"""What is done to a rollout: by people, and by the cloud itself. Each function is one transaction.

A change is made where its step is still the one that was seen, so that of several processes one makes it. What the
cloud knows of a phase is in the row: it goes on after a restart as if there had been none, and the time for which
nobody watched does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from staging.rollouts import decision, settings
from staging.rollouts.decision import AFTER, Act, Health, State, Step, check_act
from staging.store import coverage, ota, rollout_health, rollouts, silent_orders
from staging.store.coverage import FAILED, KIND
from staging.store.models import Device, OtaTask, Strategy
from staging.store.order_rules import ACTIVE, Cancel, Status
from staging.store.releases import StrategyType
from staging.store.rollout_models import Rollout
from wire.errors import FieldError

# Between two looks longer than this nobody watched, or the clock was set: the rest does not count.
LOOK_LIMIT_MS = 60_000
WITHDRAWN_TEXT = "the strategy was withdrawn before the device took it"


@dataclass(frozen=True, slots=True)
class Done:
    """What an act did.

    Attributes:
        state: the strategy's state now.
        phase: how many phases are open; 0: it has none, or none is open.
        running: devices that are busy with an order of the strategy, which a device has taken.
        dropped: orders that no device had taken, and that are cancelled.
        retried: failed devices that get one more order.
    """

    state: State
    phase: int
    running: int = 0
    dropped: int = 0
    retried: int = 0


Change = Callable[[Session, int], Done]
"""An act on the strategy of this number."""


def start(session: Session, strategy_id: int, now: int) -> Done:
    """Let a strategy take effect, in its first phase or those that were open. Raises FieldError, NotFoundError."""
    strategy = _checked(session, strategy_id, Act.START)
    row = rollouts.row_of(session, strategy_id)
    if row is not None and strategy.status != State.PUBLISHED:
        row.recall = False
        row.step += 1
    if row is not None and row.phases and not row.cuts:
        _open(session, strategy, row, now)
    return _done(session, strategy, Act.START)


def pause(session: Session, strategy_id: int) -> Done:
    """Offer and order nothing more until it is resumed; what devices have taken goes on. Raises as `start`."""
    strategy = _checked(session, strategy_id, Act.PAUSE)
    rollouts.ensure_row(session, strategy_id).step += 1
    return _done(session, strategy, Act.PAUSE)


def resume(session: Session, strategy_id: int, now: int) -> Done:
    """Go on after a pause or a halt. What has failed before a halt is no evidence any more. Raises as `start`."""
    strategy = _checked(session, strategy_id, Act.RESUME)
    row = rollouts.ensure_row(session, strategy_id)
    if strategy.status == State.HALTED:
        row.since, row.reason, row.soaked = now, {}, 0
    if strategy.status != State.PUBLISHED:
        row.look_time = now
        row.step += 1
    return _done(session, strategy, Act.RESUME)


def withdraw(session: Session, strategy_id: int, now: int, *, recall: bool = False) -> Done:
    """End a strategy. Orders that no device has taken are cancelled. Raises NotFoundError.

    ``recall``: those that run are cancelled too, as far as their devices still can; otherwise they finish.
    """
    strategy = _checked(session, strategy_id, Act.WITHDRAW)
    row = rollouts.ensure_row(session, strategy_id)
    row.step += 1
    row.recall = recall
    not_taken = session.scalars(
        _active(strategy_id).where(OtaTask.accepted.is_(False), OtaTask.status == Status.CREATED)
    ).all()
    for task in not_taken:
        ota.cancel(session, task.id, WITHDRAWN_TEXT, now)
    return replace(_done(session, strategy, Act.WITHDRAW), dropped=len(not_taken))


def retry(session: Session, strategy_id: int, now: int) -> Done:
    """Give each device whose last order failed one more, once. Raises as `start`, and for a PASSIVE strategy."""
    strategy = _checked(session, strategy_id, Act.RETRY)
    if strategy.type != StrategyType.SILENT.value:
        raise FieldError("type", strategy.type, "SILENT: what is PASSIVE its users order again")
    row = rollouts.ensure_row(session, strategy_id)
    row.retry_time = now
    row.step += 1
    return replace(_done(session, strategy, Act.RETRY), retried=_to_retry(session, row))


def _to_retry(session: Session, row: Rollout) -> int:
    """Count the devices whose last order failed, and that had no order more than the cloud gives by itself."""
    failed = select(OtaTask.device_id).where(coverage.last_orders(row.strategy_id), KIND == FAILED)
    orders = (
        select(OtaTask.device_id)
        .where(OtaTask.strategy_id == row.strategy_id, OtaTask.device_id.in_(failed))
        .group_by(OtaTask.device_id)
        .having(func.count() <= silent_orders.tries_of(row))
    )
    return session.scalar(select(func.count()).select_from(orders.subquery())) or 0


def open_next(session: Session, strategy_id: int, now: int) -> Done:
    """Open the next phase by hand, whatever it waits for. Raises as `start`, and if none follows."""
    strategy = _checked(session, strategy_id, Act.OPEN)
    row = rollouts.row_of(session, strategy_id)
    planned = rollouts.phases_of(row)
    if row is None or len(row.cuts) >= len(planned):
        raise FieldError("phases", len(planned), "a phase after the last one that is open")
    _open(session, strategy, row, now)
    return _done(session, strategy, Act.OPEN)


# What the cloud does itself.


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a rollout found, and what it was found in."""

    strategy_id: int
    step: int
    look_time: int | None
    soaked: int
    health: Health
    next: Step


def watched(session: Session) -> list[int]:
    """Return the ids of the strategies in effect that have phases."""
    statement = (
        select(Rollout.strategy_id)
        .join(Strategy, Strategy.id == Rollout.strategy_id)
        .where(Strategy.status == State.PUBLISHED.value)
        .order_by(Rollout.strategy_id)
    )
    return [number for number in session.scalars(statement) if _is_phased(session, number)]


def _is_phased(session: Session, strategy_id: int) -> bool:
    row = rollouts.row_of(session, strategy_id)
    return row is not None and bool(row.phases) and bool(row.cuts)


def look(session: Session, strategy_id: int, now: int) -> Look | None:
    """Return what a rollout in effect should do next at ``now`` (ms); None: it is in effect no more."""
    strategy, row = session.get(Strategy, strategy_id), rollouts.row_of(session, strategy_id)
    if strategy is None or row is None or strategy.status != State.PUBLISHED or not row.cuts:
        return None
    wanted = settings.settings_of(row.settings)
    health = rollout_health.measure(session, strategy, row, now)
    if decision.needs_waiting(wanted, health):
        health = replace(health, waiting=coverage.waiting(session, strategy, row, now))
    soaked = row.soaked + _watched_since(row.look_time, now)
    last = len(row.cuts) >= len(rollouts.phases_of(row))
    step = decision.decide(wanted, health, soaked / 1000, last=last)
    return Look(strategy_id, row.step, row.look_time, soaked, health, step)


def _watched_since(before: int | None, now: int) -> int:
    """Return for how many ms a rollout was watched since the last look."""
    return 0 if before is None else min(max(0, now - before), LOOK_LIMIT_MS)


def act(session: Session, found: Look, now: int) -> Step | None:
    """Do what a look found; None: another process was quicker, or somebody has changed the rollout since."""
    row = session.get(Rollout, found.strategy_id, populate_existing=True, with_for_update=True)
    strategy = session.get(Strategy, found.strategy_id, populate_existing=True)
    if row is None or strategy is None or strategy.status != State.PUBLISHED:
        return None
    if (row.step, row.look_time) != (found.step, found.look_time):
        return None
    row.look_time, row.soaked = now, found.soaked
    if found.next.halts is not None:
        strategy.status = State.HALTED.value
        row.step += 1
        row.reason = {"why": found.next.halts.value, "time": now, **_numbers(found.health)}
    elif found.next.opens:
        _open(session, strategy, row, now)
    return found.next


def _numbers(health: Health) -> dict[str, Any]:
    counts = health.counts
    return {
        "well": counts.well,
        "recovered": counts.recovered,
        "suspect": counts.suspect,
        "bad": counts.bad,
    }


def to_cancel(session: Session) -> list[tuple[int, str]]:
    """Return orders that a withdrawal cancels and whose devices do not know it yet, with their uuids."""
    statement = (
        select(OtaTask.id, Device.uuid)
        .join(Device, Device.id == OtaTask.device_id)
        .join(Rollout, Rollout.strategy_id == OtaTask.strategy_id)
        .join(Strategy, Strategy.id == OtaTask.strategy_id)
        .where(
            Strategy.status == State.WITHDRAWN.value,
            Rollout.recall.is_(True),
            OtaTask.status.in_([status.value for status in ACTIVE]),
            OtaTask.cancel == "",
        )
        .order_by(OtaTask.id)
    )
    return [(number, uuid) for number, uuid in session.execute(statement)]


def to_tell(session: Session, strategy_ids: Collection[int]) -> list[str]:
    """Return the devices that do not know yet that an order of these strategies was cancelled."""
    statement = (
        select(Device.uuid)
        .join(OtaTask, OtaTask.device_id == Device.id)
        .where(OtaTask.strategy_id.in_(strategy_ids), OtaTask.cancel == Cancel.WANTED.value)
    )
    return list(session.scalars(statement.distinct()))


def running(session: Session, strategy_id: int) -> int:
    """Count the devices that are busy with an order of a strategy that they have taken."""
    busy = _active(strategy_id).where(
        (OtaTask.accepted.is_(True)) | (OtaTask.status != Status.CREATED)
    )
    return session.scalar(select(func.count()).select_from(busy.subquery())) or 0


def _active(strategy_id: int) -> Any:
    return select(OtaTask).where(
        OtaTask.strategy_id == strategy_id,
        OtaTask.status.in_([status.value for status in ACTIVE]),
    )


def _checked(session: Session, strategy_id: int, wanted: Act) -> Strategy:
    strategy = rollouts.strategy_of(session, strategy_id)
    check_act(wanted, rollouts.state_of(strategy))
    return strategy


def _done(session: Session, strategy: Strategy, done: Act) -> Done:
    """Set the state that an act leads to, and tell what there is."""
    strategy.status = AFTER.get(done, rollouts.state_of(strategy)).value
    row = rollouts.row_of(session, strategy.id)
    opened = 0 if row is None else len(row.cuts or [])
    session.flush()
    return Done(rollouts.state_of(strategy), opened, running(session, strategy.id))


def _open(session: Session, strategy: Strategy, row: Rollout, now: int) -> None:
    """Open the next phase."""
    cuts = list(row.cuts or [])
    phase = rollouts.phases_of(row)[len(cuts)]
    row.cuts = [*cuts, coverage.cut_for(session, strategy, phase, cuts)]
    row.phase_time, row.look_time, row.soaked = now, now, 0
    row.step += 1
