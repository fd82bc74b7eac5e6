"""The list of devices: one row each, with its latest values, its owner and its latest update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from staging.identity.rights import IN_DEVELOPMENT, Role, Viewer
from staging.store.models import (
    KIND_REPORT,
    KIND_RESOURCE,
    Account,
    Batch,
    Binding,
    Device,
    OsVersion,
    OtaTask,
    Package,
    Product,
    Report,
)
from staging.store.ota import is_shown
from staging.store.series import Value
from wire.text import spellings

# The data points that the list shows of each device, by their names in open API 3.1.
BATTERY, VOLUME = "power", "volume"
DEVICES_LIMIT = 500


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One line of the list of devices."""

    device: Device
    os_version: str
    batch: str
    product: str
    account_id: int | None
    owner: str | None
    values: dict[str, Value]
    task: OtaTask | None
    target: str | None
    """The target version of the latest task."""


def _latest(key: str) -> ColumnElement[int | None]:
    """Return the time of a value's last report; without any, the last time it was read."""

    # One index seek for each device, however long its history is.
    def newest(kind: str) -> ScalarSelect[int | None]:
        return (
            select(func.max(Report.ts))
            .where(
                Report.device_id == Device.id,
                Report.ts > Device.family_since,
                Report.kind == kind,
                Report.key == key,
            )
            .correlate(Device)
            .scalar_subquery()
        )

    return func.coalesce(newest(KIND_REPORT), newest(KIND_RESOURCE))


_TASK_ID = (
    select(func.max(OtaTask.id))
    .where(OtaTask.device_id == Device.id, is_shown(Device.family_since))
    .correlate(Device)
    .scalar_subquery()
)
_BATTERY, _VOLUME = aliased(Report), aliased(Report)
_TARGET = aliased(OsVersion)
_ROWS = (
    select(
        Device,
        OsVersion.version,
        Batch.name,
        Product.name,
        Account.id,
        Account.user_name,
        _BATTERY,
        _VOLUME,
        OtaTask,
        _TARGET.version,
    )
    .join(OsVersion, OsVersion.id == Device.os_version_id)
    .join(Batch, Batch.id == Device.batch_id)
    .join(Product, Product.id == Device.product_id)
    .outerjoin(Binding, Binding.device_id == Device.id)
    .outerjoin(Account, Account.id == Binding.account_id)
    .outerjoin(_BATTERY, (_BATTERY.device_id == Device.id) & (_BATTERY.ts == _latest(BATTERY)))
    .outerjoin(_VOLUME, (_VOLUME.device_id == Device.id) & (_VOLUME.ts == _latest(VOLUME)))
    .outerjoin(OtaTask, OtaTask.id == _TASK_ID)
    .outerjoin(Package, Package.id == OtaTask.package_id)
    .outerjoin(_TARGET, _TARGET.id == Package.os_version_id)
)


def rows(
    session: Session,
    uuids: set[str] | None = None,
    search: str = "",
    viewer: Viewer | None = None,
) -> list[DeviceRow]:
    """Return devices, those with the latest heartbeat first, at most DEVICES_LIMIT.

    Args:
        session: the transaction.
        uuids: only these devices; None: all.
        search: only devices whose uuid or name contains it.
        viewer: only devices in this account's list, and names of its own devices; None: all.
    """
    statement = _matching(_ROWS, search, viewer)
    if uuids is not None:
        statement = statement.where(Device.uuid.in_(uuids))
    newest = func.coalesce(Device.last_heartbeat_time, 0).desc()
    found = session.execute(statement.order_by(newest, Device.id).limit(DEVICES_LIMIT))
    return [_row(*row) for row in found]


def count(session: Session, search: str = "", viewer: Viewer | None = None) -> int:
    """Return the number of devices that match ``search`` and are in the viewer's list."""
    whole = select(func.count()).select_from(Device)
    joined = whole.outerjoin(Binding, Binding.device_id == Device.id)
    return session.scalar(_matching(joined, search, viewer)) or 0


def _matching(statement: Any, search: str, viewer: Viewer | None) -> Any:
    own = None if viewer is None else Binding.account_id == viewer.account_id
    if own is not None and viewer is not None and viewer.role is not Role.OPERATOR:
        statement = statement.where(or_(own, Device.version == IN_DEVELOPMENT))
    if not search:
        return statement
    named = or_(*(Device.name.contains(form, autoescape=True) for form in spellings(search)))
    # A family's name for its device is not to be guessed by searching for it.
    known = named if own is None else and_(own, named)
    return statement.where(or_(Device.uuid.contains(search.lower(), autoescape=True), known))


def _row(  # noqa: PLR0913, PLR0917  # the columns of one statement
    device: Device,
    version: str,
    batch: str,
    product: str,
    account_id: int | None,
    owner: str | None,
    battery: Report | None,
    volume: Report | None,
    task: OtaTask | None,
    target: str | None,
) -> DeviceRow:
    values = {r.key: Value(r.ts, r.value) for r in (battery, volume) if r is not None}
    return DeviceRow(device, version, batch, product, account_id, owner, values, task, target)
