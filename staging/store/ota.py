"""OTA tasks: creation, updates from device reports, and views."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, bindparam, not_, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from staging.errors import (
    ErrorCode,
    NotFoundError,
    NoUpdateError,
    RefusedError,
    StagingError,
)
from staging.rollouts.decision import State
from staging.store import found, order_rules, rollouts, verifying
from staging.store.models import (
    DAMAGED,
    RELEASED,
    Batch,
    Device,
    OsVersion,
    OtaTask,
    Package,
    Strategy,
)
from staging.store.order_rules import ACTIVE, Cancel, Status, TaskState
from staging.store.ota_log import TEXT_LIMIT, EventLine, add_event, add_line, lines_of
from staging.store.releases import DAMAGED_TEXT, Offer, StrategyType, is_damaged, offers
from staging.times import log_time
from wire.ota import OtaEventReport, OtaOrder, OtaState, version_key

# A device has one update at a time, so it has forgotten older tasks than these.
CANCELS_AT_ONCE = 8
# A number with more digits cannot be a database id.
ID_DIGITS = 18


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task with its target version and its log."""

    task: OtaTask = field(repr=False)
    os_version_id: int
    version: str
    events: list[EventLine]

    @property
    def lines(self) -> list[str]:
        """The lines of the open API's ``eventLog`` (5.4)."""
        return [f"{log_time(line.ts)} {line.text}" for line in self.events]


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A device's offered or current update; ``task_id`` is 0 while no update is in progress."""

    package_id: int
    strategy_id: int | None
    """None while a package is verified on the device."""
    type: str
    new_version: str
    running_version: str
    task_id: int


def new_version(session: Session, device_id: int) -> NewVersion | None:
    """Return a device's current update, or the one offered to it, or None."""
    device = session.get_one(Device, device_id)
    running = _version(session, device.os_version_id)
    task = active(session, device_id)
    if task is not None:
        target = _target(session, task)
        kind = _type(session, task)
        return NewVersion(task.package_id, task.strategy_id, kind, target.version, running, task.id)
    best = next(iter(offered(session, device)), None)
    if best is None:
        return None
    return NewVersion(
        best.package.id, best.strategy.id, best.strategy.type, best.version, running, 0
    )


def create(
    session: Session, device_id: int, package_id: int, strategy_id: int | None, now: int
) -> OtaTask:
    """Order a package for a device; without ``strategy_id``, a published strategy must offer it.

    Raises:
        RefusedError: 1204, 1506, 1902, 1905, 2004 or 2007.
    """
    device = session.get_one(Device, device_id)
    package = session.get(Package, package_id)
    if package is None:
        raise RefusedError(ErrorCode.PACKAGE_ID_INVALID, str(package_id))
    if package.product_id != device.product_id:
        detail = f"package {package_id} is not of project {device.product_id}"
        raise RefusedError(ErrorCode.PROJECT_ID_ERROR, detail)
    _check_orderable(session, device, package)
    strategy = _strategy(session, device, package, strategy_id)
    rollouts.check_pace(session, strategy, now)
    return add_task(session, device, package_id, strategy.id, now)


def order_verification(
    session: Session, uuid: str, package_id: int, now: int, account_id: int | None = None
) -> OtaTask:
    """Order an unverified package for a device ("立马验证"); a running server sends it in seconds.

    ``account_id``: who orders it at the console; None: a command (`verifying.check`).

    Raises:
        NotFoundError: there is no such device or package.
        NotForVerificationError: it is none of these devices.
        StagingError: the package is of another product, released already, or not newer than the
            device's version; or the device has an update in progress.
    """
    device = found.device(session, uuid)
    verifying.check(session, device, account_id)
    package = session.get(Package, package_id)
    if package is None:
        raise NotFoundError(f"package {package_id}: there is none")
    if package.product_id != device.product_id:
        raise StagingError(f"package {package_id}: it is not of the product of device {uuid}")
    if package.status == RELEASED or is_damaged(package):
        why = DAMAGED_TEXT if is_damaged(package) else "it is verified already"
        raise StagingError(f"package {package_id}: {why}")
    try:
        _check_orderable(session, device, package)
    except RefusedError as error:
        raise StagingError(f"device {uuid}: {error}") from error
    return add_task(session, device, package.id, None, now)


def verifications(session: Session, package_id: int) -> list[tuple[OtaTask, str]]:
    """Return a package's verification orders with their devices' uuids, oldest first."""
    statement = (
        select(OtaTask, Device.uuid)
        .join(Device, Device.id == OtaTask.device_id)
        .where(OtaTask.package_id == package_id, OtaTask.strategy_id.is_(None))
        .order_by(OtaTask.id)
    )
    return [(task, uuid) for task, uuid in session.execute(statement)]


def unsent_after(session: Session, task_id: int) -> list[tuple[int, str]]:
    """Return the tasks after ``task_id`` that no device accepted yet, with their devices' uuids."""
    statement = (
        select(OtaTask.id, Device.uuid)
        .join(Device, Device.id == OtaTask.device_id)
        .where(
            OtaTask.id > task_id,
            OtaTask.accepted.is_(False),
            OtaTask.status == Status.CREATED.value,
        )
        .order_by(OtaTask.id)
    )
    return [(number, uuid) for number, uuid in session.execute(statement)]


def waiting(session: Session, after: int) -> list[tuple[int, str, bool]]:
    """Return the tasks that a device may be told of now and has not answered, with its uuid.

    They are orders that no device accepted yet, and cancellations (True), of tasks that changed after ``after`` (ms).
    """
    found = select(OtaTask.id, Device.uuid).join(Device, Device.id == OtaTask.device_id)
    orders = found.join(Package, Package.id == OtaTask.package_id).outerjoin(
        Strategy, Strategy.id == OtaTask.strategy_id
    )
    may_go = or_(OtaTask.strategy_id.is_(None), Strategy.status == State.PUBLISHED.value)
    orders = orders.where(
        OtaTask.status == Status.CREATED.value, OtaTask.accepted.is_(False), may_go,
        not_(Package.status.endswith(DAMAGED, autoescape=True)),
    )  # fmt: skip
    cancels = found.where(OtaTask.cancel == Cancel.WANTED.value, OtaTask.update_time > after)
    return [
        (number, uuid, is_cancel)
        for statement, is_cancel in ((cancels, True), (orders, False))
        for number, uuid in session.execute(statement.order_by(OtaTask.id))
    ]


def unsent(session: Session, device_id: int, api_url: str) -> OtaOrder | None:
    """Return the order that a device has not accepted yet, or None."""
    task = active(session, device_id)
    if task is None or task.accepted or task.status != Status.CREATED:
        return None
    if task.strategy_id is not None and not rollouts.is_in_effect(session, task.strategy_id):
        return None  # it waits until its strategy is resumed
    package = session.get_one(Package, task.package_id)
    if is_damaged(package):
        return None  # it waits until the file is put back
    device = session.get_one(Device, device_id)
    return OtaOrder(
        transaction=str(task.id),
        version=_version(session, package.os_version_id),
        old_version=_version(session, device.os_version_id),
        url=f"{api_url}/tuf/targets/{package.path}",
        size=package.size,
        signature=package.md5,
        forced=_is_forced(session, task),
    )


def under_way(session: Session, uuid: str) -> OtaTask:
    """Return a device's task that can be cancelled.

    Raises:
        NotFoundError: there is no such device.
        NoUpdateError: it has no update in progress.
    """
    task = active(session, found.device(session, uuid).id)
    if task is None:
        raise NoUpdateError(f"device {uuid}: no update is under way")
    return task


def cancel(
    session: Session, task_id: int, reason: str | None, now: int, *, answered: bool = False
) -> OtaTask:
    """Record that a task is cancelled.

    Args:
        session: the transaction.
        task_id: the task.
        reason: why the task ends now; None if its device ends it (`order_rules.ends_by_cancel`).
        now: the time, ms.
        answered: whether the device answered; otherwise it is told again (`gateway.orders`).
    """
    task = session.get_one(OtaTask, task_id)
    task.cancel = (Cancel.ANSWERED if answered else Cancel.WANTED).value
    if reason is not None and task.status in ACTIVE:  # it may have ended meanwhile
        _store_state(task, order_rules.cancel(_state(task), reason), now)
    return task


def summary(task: OtaTask, uuid: str) -> dict[str, object]:
    """Describe a task of the device ``uuid`` as the commands show it."""
    return {
        "taskId": task.id,
        "uuid": uuid,
        "packageId": task.package_id,
        "status": task.status,
        "failure": task.failure,
    }


def outstanding(
    session: Session, device_id: int, api_url: str
) -> tuple[list[int], OtaOrder | None]:
    """Return what a device that has come is to be sent: `unanswered_cancels`, and the order that is `unsent`."""
    return unanswered_cancels(session, device_id), unsent(session, device_id, api_url)


def unanswered_cancels(session: Session, device_id: int) -> list[int]:
    """Return a device's latest tasks whose cancellation it did not answer yet, newest first."""
    wanted = OtaTask.cancel == Cancel.WANTED.value
    statement = select(OtaTask.id).where(OtaTask.device_id == device_id, wanted)
    return list(session.scalars(statement.order_by(OtaTask.id.desc()).limit(CANCELS_AT_ONCE)))


def note_cancels_answered(session: Session, task_ids: list[int]) -> None:
    """Record that a device answered the cancellation of these tasks."""
    values = {"cancel": Cancel.ANSWERED.value}
    session.execute(update(OtaTask).where(OtaTask.id.in_(task_ids)).values(values))


def note_answer(session: Session, task_id: int, refusal: str | None, now: int) -> None:
    """Record a device's answer to its order; ``refusal`` is None if it accepted the order.

    One that was cancelled while it was on its way is cancelled again: another worker's cancellation may have overtaken it.
    """
    task = session.get_one(OtaTask, task_id)
    task.accepted = refusal is None
    if task.accepted and task.cancel:
        task.cancel = Cancel.WANTED.value
    text = "[Success] OK" if refusal is None else f"[Failed] {refusal[:TEXT_LIMIT]}"
    add_line(session, task, text, now)
    if refusal is not None:
        reason = f"{order_rules.REFUSED}{refusal[:TEXT_LIMIT]}"
        _store_state(task, order_rules.fail(_state(task), reason), now)


def note_event(session: Session, device: Device, report: OtaEventReport, now: int) -> bool:
    """Apply an ``ota_event``; returns False if the device has no such task."""
    task = _task_of(session, device.id, report.transaction)
    if task is None:
        return False
    add_event(session, task, report, now)
    at_target = _at_target(session, task, device)
    _store_state(task, order_rules.on_event(_state(task), report, at_target=at_target), now)
    return True


def note_state(
    session: Session, device: Device, transaction: str, reported: OtaState, now: int
) -> bool:
    """Apply an ``ota_state``; returns False if the device has no such task."""
    task = _task_of(session, device.id, transaction)
    if task is None:
        return False
    _store_state(task, order_rules.on_state(_state(task), reported), now)
    return True


def note_version(session: Session, device: Device, now: int) -> None:
    """Apply a reported version to the device's latest task."""
    task = _latest(session, device.id)
    if task is not None:
        at_target = _at_target(session, task, device)
        _store_state(task, order_rules.on_version(_state(task), at_target=at_target), now)


def is_shown(since: int | InstrumentedAttribute[int]) -> ColumnElement[bool]:
    """Return the condition for the tasks that the present family may see; ``since`` as `Device.family_since` (ms)."""
    active = OtaTask.status.in_([status.value for status in ACTIVE])
    return or_(OtaTask.update_time > since, active)


def drop_pending(session: Session, device_id: int, now: int) -> None:
    """Cancel the order that a family has given, and that its device has not taken yet."""
    task = active(session, device_id)
    if task is None or task.accepted or task.status != Status.CREATED:
        return
    if task.strategy_id is not None and _type(session, task) == StrategyType.PASSIVE.value:
        cancel(session, task.id, "the device was unbound", now)


def latest(session: Session, device_id: int) -> TaskView | None:
    """Return the view of a device's latest task, or None if its present family has seen none."""
    task = _latest(session, device_id)
    since = session.get_one(Device, device_id).family_since
    if task is None or not (task.update_time > since or task.status in ACTIVE):
        return None
    target = _target(session, task)
    return TaskView(task, target.id, target.version, lines_of(session, task.id, since))


_LATEST = (  # made once: it is asked for each report of an update
    select(OtaTask)
    .where(OtaTask.device_id == bindparam("device"))
    .order_by(OtaTask.id.desc())
    .limit(1)
)


def _latest(session: Session, device_id: int) -> OtaTask | None:
    return session.scalar(_LATEST, {"device": device_id})


def _check_orderable(session: Session, device: Device, package: Package) -> None:
    """Refuse an order if the device is busy (2004) or runs the same or a newer version (2007)."""
    task = active(session, device.id)
    if task is not None:
        raise RefusedError(ErrorCode.OTA_RUNNING, f"task {task.id} is {task.status}")
    running = _version(session, device.os_version_id)
    target = _version(session, package.os_version_id)
    if version_key(running) >= version_key(target):
        detail = f"the device runs {running}, the package is {target}"
        raise RefusedError(ErrorCode.OTA_VERSION_NOT_NEWER, detail)


def _type(session: Session, task: OtaTask) -> str:
    # A verification needs no confirmation at the device: it was started at the console.
    if task.strategy_id is None:
        return StrategyType.SILENT.value
    return session.get_one(Strategy, task.strategy_id).type


def _is_forced(session: Session, task: OtaTask) -> bool:
    # A verification need not be forced: the person who verifies is at the device.
    if task.strategy_id is None:
        return False
    return session.get_one(Strategy, task.strategy_id).forced


def add_task(
    session: Session, device: Device, package_id: int, strategy_id: int | None, now: int
) -> OtaTask:
    """Add an order that was found to be right for a device."""
    task = OtaTask(
        device_id=device.id,
        package_id=package_id,
        strategy_id=strategy_id,
        status=Status.CREATED.value,
        from_version_id=device.os_version_id,
        create_time=now,
        update_time=now,
    )
    session.add(task)
    session.flush()
    return task


def active(session: Session, device_id: int) -> OtaTask | None:
    """Return a device's update that is under way, or None."""
    task = _latest(session, device_id)
    return task if task is not None and task.status in ACTIVE else None


def _task_of(session: Session, device_id: int, transaction: str) -> OtaTask | None:
    # Only the latest task counts: an older one must not become active next to it. A cancelled one
    # cannot become active, but it may still end in another way than the cloud recorded.
    task = _latest(session, device_id)
    if task is not None and str(task.id) == transaction:
        return task
    if not (transaction.isascii() and transaction.isdigit() and len(transaction) <= ID_DIGITS):
        return None
    older = session.get(OtaTask, int(transaction))
    return older if older and older.device_id == device_id and older.cancel else None


def _version(session: Session, os_version_id: int) -> str:
    return session.get_one(OsVersion, os_version_id).version


def _target(session: Session, task: OtaTask) -> OsVersion:
    package = session.get_one(Package, task.package_id)
    return session.get_one(OsVersion, package.os_version_id)


def _at_target(session: Session, task: OtaTask, device: Device) -> bool:
    running = _version(session, device.os_version_id)
    return version_key(running) == version_key(_target(session, task).version)


def offered(session: Session, device: Device) -> list[Offer]:
    """Return what published strategies offer to a device in the phases that are open, best first."""
    batch = session.get_one(Batch, device.batch_id).name
    running = _version(session, device.os_version_id)
    found = offers(session, device.product_id, running, batch)
    return [each for each in found if rollouts.admits(session, each.strategy.id, device, batch)]


def _strategy(
    session: Session, device: Device, package: Package, strategy_id: int | None
) -> Strategy:
    possible = [o.strategy for o in offered(session, device) if o.package.id == package.id]
    if strategy_id is None:
        if not possible:
            raise RefusedError(ErrorCode.STRATEGY_INVALID, "no published strategy offers this")
        return possible[0]
    strategy = session.get(Strategy, strategy_id)
    if strategy is None or strategy.package_id != package.id:
        raise RefusedError(ErrorCode.STRATEGY_INVALID, str(strategy_id))
    if strategy not in possible:
        raise RefusedError(ErrorCode.STRATEGY_NOT_FOR_USER, str(strategy_id))
    return strategy


def _state(task: OtaTask) -> TaskState:
    return TaskState(
        Status(task.status),
        task.percent,
        task.failure,
        installed=task.installed,
        cancelled=bool(task.cancel),
    )


def _store_state(task: OtaTask, state: TaskState, now: int) -> None:
    if state.status in ACTIVE:
        task.end_time = None
    elif task.status != state.status or task.end_time is None:
        task.end_time = now
    task.status, task.percent = state.status.value, state.percent
    task.failure = state.failure[:TEXT_LIMIT] if state.failure else None
    task.installed, task.update_time = state.installed, now
