"""The rows of rollouts: their plan, who is in it by now, and how fast it goes.

A strategy without phases is for all of its devices at once, as fast as the cloud sends, and nothing halts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from staging.errors import ErrorCode, NotFoundError, RefusedError, StagingError
from staging.rollouts import phases, settings
from staging.rollouts.decision import State
from staging.rollouts.phases import Machine, Phase
from staging.store.device_query import parse_tag
from staging.store.fleet_models import DeviceTag, Tag
from staging.store.models import Batch, Device, OtaTask, Package, Strategy
from staging.store.order_rules import ACTIVE
from staging.store.rollout_models import Rollout
from wire.errors import FieldError

MINUTE_MS = 60_000
# An order that nothing was heard of for this long does not count as under way: the machine may be off.
STALLED_MS = 3_600_000
# How long a device waits for its turn when as many orders are under way as the pace allows.
TURN_MS = 30_000


def row_of(session: Session, strategy_id: int) -> Rollout | None:
    """Return a strategy's rollout; None: it has none."""
    return session.get(Rollout, strategy_id)


def phases_of(row: Rollout | None) -> tuple[Phase, ...]:
    """Return a rollout's phases; (): it is for all at once."""
    return phases.parse(row.phases) if row is not None and row.phases else ()


def strategy_of(session: Session, strategy_id: int) -> Strategy:
    """Return a strategy; raises NotFoundError."""
    found = session.get(Strategy, strategy_id)
    if found is None:
        raise NotFoundError(f"strategy {strategy_id}: there is none")
    return found


def state_of(strategy: Strategy) -> State:
    """Return a strategy's state."""
    return State(strategy.status)


def is_in_effect(session: Session, strategy_id: int) -> bool:
    """Return whether anything of a strategy is offered or sent now."""
    return strategy_of(session, strategy_id).status == State.PUBLISHED


def ensure_row(session: Session, strategy_id: int) -> Rollout:
    """Return a strategy's rollout, which is made without phases if there is none."""
    row = row_of(session, strategy_id)
    if row is None:
        row = new_row(strategy_id)
        session.add(row)
        session.flush()
    return row


def new_row(strategy_id: int) -> Rollout:
    """Return a rollout without phases, which is not in the store yet."""
    return Rollout(
        strategy_id=strategy_id, phases=[], settings={}, cuts=[], step=0, phase_time=None, soaked=0,
        look_time=None, since=0, retry_time=None, recall=False, reason={},
    )  # fmt: skip


def set_plan(
    session: Session,
    strategy_id: int,
    wanted: Sequence[str] | None,
    given: Mapping[str, object],
) -> Rollout:
    """Give a strategy phases, and settings of their names in `settings.FIELDS`; None keeps the phases.

    Raises:
        FieldError: a phase or a setting is none, or what is open already would change.
        NotFoundError: there is no such strategy, or its product has no such batch.
        StagingError: the strategy is in effect for all of its devices already.
    """
    strategy = strategy_of(session, strategy_id)
    row = row_of(session, strategy_id)
    checked = settings.check({**({} if row is None else row.settings), **given})
    if wanted is not None:
        planned = phases.parse(wanted)
        _check_names(session, strategy, planned)
        _check_open(strategy, row, planned)
        row = ensure_row(session, strategy_id)
        row.phases = [str(phase) for phase in planned]
    elif not phases_of(row):
        raise FieldError("phases", [], f"phases for these settings: {phases.EXPECTED}")
    row = ensure_row(session, strategy_id)
    row.settings = checked
    row.step += 1
    return row


def _check_open(strategy: Strategy, row: Rollout | None, planned: Sequence[Phase]) -> None:
    """Refuse a plan that takes back what is open."""
    opened = 0 if row is None else len(row.cuts or [])
    if strategy.status != State.DRAFT and not opened:
        raise StagingError(
            f"strategy {strategy.id}: it is {strategy.status} without phases, for all of its devices; "
            "add another strategy for the phases"
        )
    before = phases_of(row)[:opened]
    if tuple(planned[:opened]) != before:
        shown = ", ".join(map(str, before))
        raise FieldError("phases", [str(each) for each in planned], f"{shown} first: it is open")


def _check_names(session: Session, strategy: Strategy, planned: Sequence[Phase]) -> None:
    product_id = session.get_one(Package, strategy.package_id).product_id
    known = set(session.scalars(select(Batch.name).where(Batch.product_id == product_id)))
    for number, phase in enumerate(planned):
        for name in phase.batches:
            if name not in known:
                raise NotFoundError(f"phases[{number}]: batch {name}: the product has none")
            if strategy.batches and name not in strategy.batches:
                only = ", ".join(strategy.batches)
                raise FieldError(f"phases[{number}]", name, f"a batch of the strategy: {only}")
        for tag in phase.tags:
            try:
                parse_tag(tag)
            except FieldError as error:
                raise FieldError(f"phases[{number}]", tag, error.expected) from error


def admits(session: Session, strategy_id: int, device: Device, batch: str) -> bool:
    """Return whether the open phases of a strategy have a device, whose batch has this name."""
    row = row_of(session, strategy_id)
    planned = phases_of(row)
    if row is None or not planned:
        return True
    tags = tags_of(session, planned, device.id).get(device.id, frozenset())
    machine = Machine(phases.place_of(strategy_id, device.uuid), batch, tags)
    return phases.admits(planned, row.cuts or [], machine)


def tags_of(
    session: Session, planned: Sequence[Phase], device_id: int | None = None
) -> dict[int, frozenset[str]]:
    """Return which devices have which tags of the phases; ``device_id``: this device alone."""
    wanted = phases.folded_tags(planned)
    if not wanted:
        return {}
    statement = (
        select(DeviceTag.device_id, Tag.folded)
        .join(Tag, Tag.id == DeviceTag.tag_id)
        .where(Tag.folded.in_(wanted))
    )
    if device_id is not None:
        statement = statement.where(DeviceTag.device_id == device_id)
    found: dict[int, frozenset[str]] = {}
    for number, tag in session.execute(statement):
        found[number] = found.get(number, frozenset()) | {tag}
    return found


# Made once: they are asked for each order of a phase.
_BEGUN = select(func.count(), func.min(OtaTask.create_time)).where(
    OtaTask.strategy_id == bindparam("strategy"),
    OtaTask.create_time > bindparam("after"),
    OtaTask.create_time <= bindparam("now"),
)
_UNDER_WAY = select(func.count()).where(
    OtaTask.strategy_id == bindparam("strategy"),
    OtaTask.status.in_([status.value for status in ACTIVE]),
    OtaTask.update_time.between(bindparam("after"), bindparam("before")),
)


def pace_wait(session: Session, strategy_id: int, now: int) -> int:
    """Return after how many ms another order may begin; 0: now."""
    row = row_of(session, strategy_id)
    if row is None or not row.phases:
        return 0
    limits = settings.settings_of(row.settings)
    if under_way(session, strategy_id, now) >= limits.open:
        return TURN_MS
    wanted = {"strategy": strategy_id, "after": now - MINUTE_MS, "now": now}
    begun, first = session.execute(_BEGUN, wanted).one()
    if begun < limits.per_minute:
        return 0
    return max(1, int(first) + MINUTE_MS - now)


def under_way(session: Session, strategy_id: int, now: int) -> int:
    """Count a strategy's orders under way that were heard of lately."""
    heard = {"after": now - STALLED_MS, "before": now + STALLED_MS}
    return session.scalar(_UNDER_WAY, {"strategy": strategy_id, **heard}) or 0


def check_pace(session: Session, strategy: Strategy, now: int) -> None:
    """Refuse an order beyond a rollout's pace; raises RefusedError 1902."""
    wait = pace_wait(session, strategy.id, now)
    if wait:
        seconds = -(-wait // 1000)
        text = f"strategy {strategy.id} has as many updates under way as its pace allows; try again in {seconds} s"
        raise RefusedError(ErrorCode.STRATEGY_INVALID, text)


def marks(session: Session) -> frozenset[tuple[int, str, int]]:
    """Return each silent strategy in effect with its step: what is new in it, devices are looked at for."""
    statement = select(Strategy.id, Strategy.type, func.coalesce(Rollout.step, -1)).outerjoin(
        Rollout, Rollout.strategy_id == Strategy.id
    )
    found = session.execute(statement.where(Strategy.status == State.PUBLISHED.value))
    return frozenset((int(number), str(kind), int(step)) for number, kind, step in found)
