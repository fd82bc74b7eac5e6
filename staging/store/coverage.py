"""Which devices a strategy covers, counted: how many it reaches, which it leaves out, and what became of them.

A device is covered if the strategy would offer it the version with all phases open, or has ordered it before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, case, exists, false, func, select
from sqlalchemy.orm import Session

from staging.rollouts import phases
from staging.rollouts.phases import Machine, Phase
from staging.store import rollouts
from staging.store.models import Batch, Device, OsVersion, OtaTask, Package, Strategy
from staging.store.order_rules import ACTIVE, REFUSED, Status
from staging.store.rollout_models import Rollout
from wire.errors import WireError
from wire.ota import version_key

# A device that was heard of within this time can be reached: it is on, or it will be soon.
REACH_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Preview:
    """What publishing a strategy means for the devices that are there now.

    Attributes:
        covered: devices that it would offer the version with all phases open.
        heard: of those, how many were heard of within `REACH_MS`.
        busy: of those, how many have another update under way, which must end first.
        first: how many are in the first phase, or in those that are open.
        excluded: the product's other devices by why: ``version`` (they run it or a newer one), ``from``
            (another version than the strategy is for), ``batch``.
    """

    covered: int
    heard: int
    busy: int
    first: int
    excluded: Mapping[str, int]


@dataclass(slots=True)
class VersionRow:
    """The covered devices that run, or ran before, one version."""

    version: str
    covered: int = 0
    waiting: int = 0
    """Not ordered yet."""
    held: int = 0
    """Of those, in no open phase."""
    running: int = 0
    success: int = 0
    failed: int = 0
    refused: int = 0
    cancelled: int = 0


@dataclass(slots=True)
class Progress:
    """What became of the devices, by the version from which they come, and together."""

    versions: list[VersionRow] = field(default_factory=list)
    total: VersionRow = field(default_factory=lambda: VersionRow(""))


def target_of(session: Session, strategy: Strategy) -> tuple[Package, str]:
    """Return a strategy's package and version."""
    package = session.get_one(Package, strategy.package_id)
    return package, session.get_one(OsVersion, package.os_version_id).version


def preview(session: Session, strategy_id: int, now: int) -> Preview:
    """Count whom a strategy covers now; raises NotFoundError."""
    strategy = rollouts.strategy_of(session, strategy_id)
    condition = covers(session, strategy)
    covered = select(func.count()).select_from(Device).where(condition)
    heard = Device.last_heartbeat_time.between(now - REACH_MS, now + REACH_MS)
    busy = exists().where(
        OtaTask.device_id == Device.id, OtaTask.status.in_([status.value for status in ACTIVE])
    )
    return Preview(
        session.scalar(covered) or 0,
        session.scalar(covered.where(heard)) or 0,
        session.scalar(covered.where(busy)) or 0,
        _first(session, strategy),
        _excluded(session, strategy),
    )


def covers(session: Session, strategy: Strategy) -> ColumnElement[bool]:
    """Return the condition for the devices that a strategy would offer its version with all phases open."""
    package, _ = target_of(session, strategy)
    versions = [number for number, why in _versions(session, strategy) if why is None]
    if not versions:
        return false()
    wanted = [Device.product_id == package.product_id, Device.os_version_id.in_(versions)]
    if strategy.batches:
        named = select(Batch.id).where(
            Batch.product_id == package.product_id, Batch.name.in_(strategy.batches)
        )
        wanted.append(Device.batch_id.in_(named))
    return and_(*wanted)


def lower_versions(session: Session, strategy: Strategy) -> list[int]:
    """Return the ids of the product's versions that are older than the strategy's."""
    package, target = target_of(session, strategy)
    rows = session.execute(
        select(OsVersion.id, OsVersion.version).where(OsVersion.product_id == package.product_id)
    )
    return [number for number, text in rows if _key(text) < version_key(target)]


def _key(version: str) -> tuple[int, ...]:
    """Return a version's key; what a device of before reported may be none, and is older than all."""
    try:
        return version_key(version)
    except WireError:
        return ()


def _versions(session: Session, strategy: Strategy) -> Iterable[tuple[int, str | None]]:
    """Yield the product's versions, and why the strategy leaves each out."""
    package, target = target_of(session, strategy)
    wanted = [version_key(version) for version in strategy.from_versions]
    rows = session.execute(
        select(OsVersion.id, OsVersion.version).where(OsVersion.product_id == package.product_id)
    )
    for number, text in rows.all():
        if _key(text) >= version_key(target):
            yield number, "version"
        elif wanted and _key(text) not in wanted:
            yield number, "from"
        else:
            yield number, None


def _excluded(session: Session, strategy: Strategy) -> dict[str, int]:
    package, _ = target_of(session, strategy)
    why_of = dict(_versions(session, strategy))
    found: Counter[str] = Counter()
    rows = session.execute(
        select(Device.os_version_id, Batch.name, func.count())
        .join(Batch, Batch.id == Device.batch_id)
        .where(Device.product_id == package.product_id)
        .group_by(Device.os_version_id, Batch.name)
    )
    for number, batch, count in rows:
        why = why_of.get(number)
        if why is None and strategy.batches and batch not in strategy.batches:
            why = "batch"
        if why is not None:
            found[why] += count
    return dict(found)


def _first(session: Session, strategy: Strategy) -> int:
    """Count who is in the first phase, or in those that are open."""
    row = rollouts.row_of(session, strategy.id)
    planned = rollouts.phases_of(row)
    if row is None or not planned:
        counted = select(func.count()).select_from(Device)
        return session.scalar(counted.where(covers(session, strategy))) or 0
    cuts = row.cuts or [cut_for(session, strategy, planned[0], [])]
    return sum(
        phases.admits(planned, cuts, machine) for machine in machines(session, strategy).values()
    )


def machines(session: Session, strategy: Strategy) -> dict[int, Machine]:
    """Return every covered device by its number."""
    ordered = exists().where(OtaTask.device_id == Device.id, OtaTask.strategy_id == strategy.id)
    rows = session.execute(
        select(Device.id, Device.uuid, Batch.name)
        .join(Batch, Batch.id == Device.batch_id)
        .where(covers(session, strategy) | ordered)
    )
    tags = rollouts.tags_of(session, rollouts.phases_of(rollouts.row_of(session, strategy.id)))
    return {
        number: Machine(phases.place_of(strategy.id, uuid), batch, tags.get(number, frozenset()))
        for number, uuid, batch in rows
    }


def cut_for(session: Session, strategy: Strategy, phase: Phase, before: list[int]) -> int:
    """Return the cut of a phase that opens now."""
    if phase.share is None or phase.share >= 100:
        return phases.cut_of(phase, (), before)
    places = [machine.place for machine in machines(session, strategy).values()]
    return phases.cut_of(phase, places, before)


def waiting(session: Session, strategy: Strategy, row: Rollout, now: int) -> int:
    """Count the devices of the open phases that can be reached and were never ordered."""
    heard = Device.last_heartbeat_time.between(now - REACH_MS, now + REACH_MS)
    ordered = exists().where(OtaTask.device_id == Device.id, OtaTask.strategy_id == strategy.id)
    planned, cuts = rollouts.phases_of(row), row.cuts or []
    rest = (covers(session, strategy), heard, ~ordered)
    if not planned:
        return session.scalar(select(func.count()).select_from(Device).where(*rest)) or 0
    tags = rollouts.tags_of(session, planned)
    listed = select(Device.id, Device.uuid, Batch.name).join(Batch, Batch.id == Device.batch_id)
    return sum(
        phases.admits(
            planned, cuts,
            Machine(phases.place_of(strategy.id, uuid), batch, tags.get(number, frozenset())),
        )
        for number, uuid, batch in session.execute(listed.where(*rest))
    )  # fmt: skip


RUNNING, SUCCESS, FAILED = "running", "success", "failed"
REFUSED_WORD, CANCELLED = "refused", "cancelled"
KIND: ColumnElement[str] = case(
    (OtaTask.status.in_([status.value for status in ACTIVE]), RUNNING),
    (OtaTask.status == Status.SUCCESS.value, SUCCESS),
    (OtaTask.cancel != "", CANCELLED),
    (OtaTask.failure.startswith(REFUSED, autoescape=True), REFUSED_WORD),
    else_=FAILED,
)
"""What became of an order, for counting."""


def last_orders(strategy_id: int) -> ColumnElement[bool]:
    """Return the condition for each device's last order of a strategy."""
    last = select(func.max(OtaTask.id)).where(OtaTask.strategy_id == strategy_id)
    return OtaTask.id.in_(last.group_by(OtaTask.device_id))


def progress(session: Session, strategy_id: int) -> Progress:
    """Count what became of a strategy's devices; raises NotFoundError."""
    strategy = rollouts.strategy_of(session, strategy_id)
    found: dict[int | None, VersionRow] = {}

    def row(number: int | None) -> VersionRow:
        if number not in found:
            version = None if number is None else session.get(OsVersion, number)
            found[number] = VersionRow("" if version is None else version.version)
        return found[number]

    for number, kind, count in session.execute(
        select(OtaTask.from_version_id, KIND, func.count())
        .where(last_orders(strategy_id))
        .group_by(OtaTask.from_version_id, KIND)
    ):
        of = row(number)
        setattr(of, kind, getattr(of, kind) + count)
        of.covered += count
    for number, is_open, count in _never_ordered(session, strategy):
        of = row(number)
        of.covered += count
        of.waiting += count
        of.held += 0 if is_open else count
    versions = sorted(found.values(), key=lambda each: _key(each.version), reverse=True)
    return Progress(versions, _sum(versions))


def _never_ordered(session: Session, strategy: Strategy) -> Iterable[tuple[int, bool, int]]:
    """Yield the version, whether an open phase has them, and the number of devices without an order."""
    ordered = exists().where(OtaTask.device_id == Device.id, OtaTask.strategy_id == strategy.id)
    rest = (covers(session, strategy), ~ordered)
    row = rollouts.row_of(session, strategy.id)
    planned = rollouts.phases_of(row)
    if row is None or not planned:
        counted = select(Device.os_version_id, func.count()).where(*rest)
        for number, count in session.execute(counted.group_by(Device.os_version_id)):
            yield number, True, count
        return
    found: Counter[tuple[int, bool]] = Counter()
    tags = rollouts.tags_of(session, planned)
    listed = select(Device.id, Device.uuid, Batch.name, Device.os_version_id)
    joined = listed.join(Batch, Batch.id == Device.batch_id).where(*rest)
    for device_id, uuid, batch, number in session.execute(joined):
        has = tags.get(device_id, frozenset())
        machine = Machine(phases.place_of(strategy.id, uuid), batch, has)
        found[number, phases.admits(planned, row.cuts or [], machine)] += 1
    for (number, is_open), count in found.items():
        yield number, is_open, count


def _sum(rows: Iterable[VersionRow]) -> VersionRow:
    total = VersionRow("")
    for row in rows:
        for name in (
            "covered",
            "waiting",
            "held",
            RUNNING,
            SUCCESS,
            FAILED,
            REFUSED_WORD,
            CANCELLED,
        ):
            setattr(total, name, getattr(total, name) + getattr(row, name))
    return total
