"""The rows of devices, with the latest values, the owner, the latest update and the tags of each.

Which devices a list has, and in which order, is `device_list`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, ScalarSelect, func, select
from sqlalchemy.orm import Session, aliased

from staging.store import tags
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
    tags: tuple[str, ...] = ()


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


def rows(session: Session, uuids: Collection[str] | None = None) -> list[DeviceRow]:
    """Return devices, those with the latest heartbeat first, at most DEVICES_LIMIT.

    Args:
        session: the transaction.
        uuids: only these devices; None: all.
    """
    statement = _ROWS if uuids is None else _ROWS.where(Device.uuid.in_(uuids))
    newest = func.coalesce(Device.last_heartbeat_time, 0).desc()
    found = session.execute(statement.order_by(newest, Device.id).limit(DEVICES_LIMIT))
    return _with_tags(session, [_row(*tuple(row)) for row in found])


def by_ids(session: Session, ids: Sequence[int]) -> list[DeviceRow]:
    """Return devices by their numbers, in that order; those that are not there are left out."""
    found = {
        row[0].id: _row(*tuple(row)) for row in session.execute(_ROWS.where(Device.id.in_(ids)))
    }
    return _with_tags(session, [found[number] for number in ids if number in found])


def _with_tags(session: Session, found: list[DeviceRow]) -> list[DeviceRow]:
    named = tags.of(session, [row.device.id for row in found])
    return [replace(row, tags=named.get(row.device.id, ())) for row in found]


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
