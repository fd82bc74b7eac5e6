"""The same step for many devices: which of them take it, why the others do not, and taking it.

Every step can be taken again: a device that has it already is left out, and says so. What a device may be is what the
console's route for one device asks (`staging.identity.rights`); binding without its token is an operator's alone,
for machines that no family has had, and gives way to whoever has the machine in hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from staging.errors import StagingError, StoreBusyError
from staging.identity import rights
from staging.identity.rights import Role, Standing, Viewer
from staging.store import ota, tags
from staging.store.device_query import parse_tag
from staging.store.models import (
    ENABLE,
    RELEASED,
    Account,
    Binding,
    Device,
    OsVersion,
    OtaTask,
    Package,
)
from staging.store.order_rules import ACTIVE
from wire.errors import FieldError, WireError
from wire.ota import version_key
from wire.text import fold


class Action(StrEnum):
    """What is done to each device."""

    BIND = "bind"
    """It is bound to the operator's own account."""
    TAG = "tag"
    """It gets tags, and loses tags."""
    VERIFY = "verify"
    """It takes a version that is not released yet."""
    ORDER = "order"
    """It takes the version that a strategy offers it."""
    CANCEL = "cancel"
    """Its update is cancelled."""


AUDITED = {
    Action.BIND: "device.bind",
    Action.TAG: "device.tag",
    Action.VERIFY: "version.verify",
    Action.ORDER: "update.order",
    Action.CANCEL: "update.cancel",
}
"""What the audit log calls the step of one device."""


class Why(StrEnum):
    """Why a device is left out."""

    DONE = "done_already"
    GONE = "gone"
    """There is no such device, or the caller does not see it."""
    BOUND = "bound_to_other"
    HAD_FAMILY = "had_family"
    """A family has had it: only its bind token binds it."""
    NOT_OWN = "not_own"
    NOT_FOR_VERIFICATION = "not_for_verification"
    OTHER_PRODUCT = "other_product"
    NOT_NEWER = "not_newer"
    UPDATING = "updating"
    NO_OFFER = "no_offer"
    NO_UPDATE = "no_update"
    NO_ROOM = "no_room"
    """It would have too many tags."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done.

    Attributes:
        action: what.
        package_id: the version to verify.
        add: tags to put on.
        remove: tags to take away.
    """

    action: Action
    package_id: int | None = None
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """The step in the audit log's words."""
        words = [f"+{tag}" for tag in self.add] + [f"-{tag}" for tag in self.remove]
        if self.package_id is not None:
            words.append(f"package {self.package_id}")
        return " ".join(words)


def parse_step(
    action: str, package_id: int | None, add: Sequence[str], remove: Sequence[str]
) -> Step:
    """Return a step; raises FieldError that names what is wrong."""
    try:
        kind = Action(action)
    except ValueError:
        raise FieldError("action", action, f"one of {', '.join(Action)}") from None
    step = Step(kind, package_id, tuple(map(parse_tag, add)), tuple(map(parse_tag, remove)))
    if (kind is Action.VERIFY) != (package_id is not None):
        raise FieldError("packageId", package_id, "the version's package, with verify alone")
    if (kind is Action.TAG) != bool(step.add or step.remove):
        raise FieldError("tags", [*add, *remove], "tags to add or remove, with tag alone")
    if both := {fold(tag) for tag in step.add} & {fold(tag) for tag in step.remove}:
        raise FieldError("tags", min(both), "a tag that is to be added or removed, not both")
    return step


@dataclass(frozen=True, slots=True)
class Judged:
    """One device of a preview."""

    device_id: int
    uuid: str
    why: Why | None = field(default=None)
    """Why it is left out; None: it takes the step."""


def check(session: Session, step: Step, viewer: Viewer) -> None:
    """Refuse a step that no device could take; raises StagingError."""
    if step.action is Action.BIND and viewer.role is not Role.OPERATOR:
        raise StagingError("action bind: many devices are bound by operators alone")
    if step.package_id is None:
        return
    package = session.get(Package, step.package_id)
    if package is None:
        raise FieldError("packageId", step.package_id, "the id of a version")
    if package.status == RELEASED:
        raise FieldError("packageId", step.package_id, "a version that is not verified yet")


@dataclass(frozen=True, slots=True)
class _Facts:
    """What decides about one device."""

    id: int
    uuid: str
    product_id: int
    running: str
    family_since: int
    is_bound: bool
    stands: Standing
    tags: frozenset[str]
    task: OtaTask | None
    """Its update in progress."""


def check_account(session: Session, viewer: Viewer) -> None:
    """Refuse to go on for somebody whose account was taken back meanwhile; raises StagingError."""
    account = session.get(Account, viewer.account_id)
    if account is None or account.status != ENABLE or account.role != viewer.role.value:
        raise StagingError("the account that began this has been disabled, or has another role now")


def judge(session: Session, step: Step, ids: Sequence[int], viewer: Viewer) -> list[Judged]:
    """Return for each device whether it takes the step, in the given order; at most some hundred at once."""
    facts = {each.id: each for each in _facts(session, ids, viewer)}
    return [
        Judged(n, facts[n].uuid, _why_not(session, step, facts[n], viewer))
        if n in facts
        else Judged(n, "", Why.GONE)
        for n in ids
    ]


def _facts(session: Session, ids: Sequence[int], viewer: Viewer) -> list[_Facts]:
    last = (
        select(func.max(OtaTask.id)).where(OtaTask.device_id.in_(ids)).group_by(OtaTask.device_id)
    )
    active = OtaTask.status.in_([status.value for status in ACTIVE])
    running = select(OtaTask).where(OtaTask.id.in_(last), active)
    tasks = {task.device_id: task for task in session.scalars(running)}
    tagged = tags.of(session, ids)
    rows = session.execute(
        select(
            Device.id, Device.uuid, Device.product_id, OsVersion.version, Device.family_since,
            Device.version, Binding.account_id,
        )
        .join(OsVersion, OsVersion.id == Device.os_version_id)
        .outerjoin(Binding, Binding.device_id == Device.id)
        .where(Device.id.in_(ids))
    )  # fmt: skip
    return [
        _Facts(
            number, uuid, product_id, version, since, owner is not None,
            rights.standing(stage, owner, viewer.account_id),
            frozenset(map(fold, tagged.get(number, ()))), tasks.get(number),
        )
        for number, uuid, product_id, version, since, stage, owner in rows
    ]  # fmt: skip


def _why_not(session: Session, step: Step, facts: _Facts, viewer: Viewer) -> Why | None:
    if facts.stands is Standing.FAMILY and viewer.role is not Role.OPERATOR:
        return Why.GONE
    return _JUDGES[step.action](session, step, facts)


def _bind_why(_session: Session, _step: Step, facts: _Facts) -> Why | None:
    if facts.stands is Standing.OWN:
        return Why.DONE
    if facts.is_bound:
        return Why.BOUND
    return Why.HAD_FAMILY if facts.family_since else None


def _tag_why(_session: Session, step: Step, facts: _Facts) -> Why | None:
    after = (facts.tags - set(map(fold, step.remove))) | set(map(fold, step.add))
    if after == facts.tags:
        return Why.DONE
    return Why.NO_ROOM if len(after) > tags.OF_DEVICE_LIMIT else None


def _verify_why(session: Session, step: Step, facts: _Facts) -> Why | None:
    package = session.get(Package, step.package_id)
    if package is None or package.product_id != facts.product_id:
        return Why.OTHER_PRODUCT
    if facts.stands not in rights.VERIFYING:
        return Why.NOT_FOR_VERIFICATION
    if facts.task is not None:
        return Why.DONE if facts.task.package_id == package.id else Why.UPDATING
    target = session.get_one(OsVersion, package.os_version_id).version
    return None if version_key(facts.running) < version_key(target) else Why.NOT_NEWER


def _order_why(session: Session, _step: Step, facts: _Facts) -> Why | None:
    if facts.stands is not Standing.OWN:
        return Why.NOT_OWN
    if facts.task is not None:
        return Why.DONE
    return Why.NO_OFFER if ota.new_version(session, facts.id) is None else None


def _cancel_why(_session: Session, _step: Step, facts: _Facts) -> Why | None:
    if facts.stands is not Standing.OWN:
        return Why.NOT_OWN
    if facts.task is None:
        return Why.NO_UPDATE
    return Why.DONE if facts.task.cancel else None


_JUDGES: dict[Action, Callable[[Session, Step, _Facts], Why | None]] = {
    Action.BIND: _bind_why,
    Action.TAG: _tag_why,
    Action.VERIFY: _verify_why,
    Action.ORDER: _order_why,
    Action.CANCEL: _cancel_why,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a device's step: it was taken, left out (``why``), or it failed."""

    device_id: int
    uuid: str
    why: Why | None = None
    failure: str = ""

    @property
    def done(self) -> bool:
        """Whether the step was taken."""
        return self.why is None and not self.failure


def take(
    session: Session, step: Step, ids: Sequence[int], viewer: Viewer, now: int
) -> list[Outcome]:
    """Take a step with devices, each judged anew; what fails for one is undone for it alone.

    Not for `Action.CANCEL`, which asks the device.
    """
    check_account(session, viewer)
    outcomes = []
    for judged in judge(session, step, ids, viewer):
        if judged.why is not None:
            outcomes.append(Outcome(judged.device_id, judged.uuid, judged.why))
            continue
        try:
            with session.begin_nested():
                _TAKE[step.action](session, step, judged, viewer, now)
                session.flush()
            outcomes.append(Outcome(judged.device_id, judged.uuid))
        except StoreBusyError:
            raise
        except (StagingError, WireError) as error:
            outcomes.append(Outcome(judged.device_id, judged.uuid, failure=str(error)))
    return outcomes


def _bind(session: Session, _step: Step, judged: Judged, viewer: Viewer, now: int) -> None:
    # Not proven: whoever has the machine in hand, and so its token, binds it over this binding.
    bound = Binding(
        device_id=judged.device_id, account_id=viewer.account_id, create_time=now, proven=False
    )
    session.add(bound)
    session.get_one(Device, judged.device_id).update_time = now


def _tag(session: Session, step: Step, judged: Judged, _viewer: Viewer, _now: int) -> None:
    tags.change(session, judged.device_id, step.add, step.remove)


def _verify(session: Session, step: Step, judged: Judged, viewer: Viewer, now: int) -> None:
    ota.order_verification(session, judged.uuid, step.package_id or 0, now, viewer.account_id)


def _order(session: Session, _step: Step, judged: Judged, _viewer: Viewer, now: int) -> None:
    offered = ota.new_version(session, judged.device_id)
    if offered is None:
        raise StagingError("nothing is offered to it any more")
    ota.create(session, judged.device_id, offered.package_id, offered.strategy_id, now)


_TAKE: dict[Action, Callable[[Session, Step, Judged, Viewer, int], None]] = {
    Action.BIND: _bind,
    Action.TAG: _tag,
    Action.VERIFY: _verify,
    Action.ORDER: _order,
}
