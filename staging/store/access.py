"""The look-up before an API request: the caller, and their access to a device.

It is a single statement, because every control request waits for it. What an endpoint shows of the device
comes with it where that is all that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import String, and_, bindparam, select
from sqlalchemy.orm import Session, aliased

from staging.store.devices import DeviceView
from staging.store.lookups import Lookup, Row
from staging.store.models import (
    AccessToken,
    Account,
    App,
    AppProduct,
    Batch,
    Binding,
    Device,
    OsVersion,
    Product,
    UsedNonce,
)


@dataclass(slots=True)  # frozen, each request would set thirteen fields by a function
class Access:
    """The store's record of a caller and a device; None where there is no such row."""

    app_id: int
    secret: str = field(repr=False)
    nonce_used: bool
    token_expire_time: int | None
    scope: str | None
    account_id: int | None
    account_status: str | None
    role: str | None
    device_id: int | None
    owner_id: int | None
    app_bound: bool
    user_name: str | None
    app_name: str
    view: DeviceView | None = None
    """The device, from `WITH_VIEW`."""


def _given(name: str) -> Any:
    return bindparam(name, type_=String())


# Not a join: PostgreSQL may plan one while the table is empty, and then go through all nonces at each look-up.
_USED = (
    select(UsedNonce.nonce)
    .where(UsedNonce.app_id == App.id, UsedNonce.nonce == _given("nonce"))
    .correlate(App)
    .scalar_subquery()
)
_WHO = (
    App.id,
    App.secret,
    _USED,
    AccessToken.expire_time,
    AccessToken.scope,
    AccessToken.account_id,
    Account.status,
    Account.role,
    Account.user_name,
    App.name,
    Device.id,
    Binding.account_id,
    AppProduct.product_id,
)
_STATEMENT = (
    select(*_WHO)
    .select_from(App)
    .outerjoin(
        AccessToken,
        and_(AccessToken.digest == _given("digest"), AccessToken.app_id == App.id),
    )
    .outerjoin(Account, Account.id == AccessToken.account_id)
    .outerjoin(Device, Device.uuid == _given("uuid"))
    .outerjoin(Binding, Binding.device_id == Device.id)
    .outerjoin(
        AppProduct,
        and_(AppProduct.app_id == App.id, AppProduct.product_id == Device.product_id),
    )
    .where(App.apikey == _given("apikey"))
)


_OWNER = aliased(Account)
_SHOWN = (
    Device.uuid,
    Device.product_id,
    Device.batch_id,
    Device.name,
    Device.bind_token,
    Device.os_version_id,
    Device.status,
    Device.version,
    Device.activate_time,
    Device.last_heartbeat_time,
    Device.create_time,
    Device.update_time,
)
_NAMES = (
    OsVersion.version,
    Batch.name,
    Product.name,
    Product.type,
    Product.series_name,
    _OWNER.uuid,
    Binding.proven,
)

LOOK_UP = Lookup(_STATEMENT)
"""By ``apikey``, ``nonce``, ``digest`` (of the token) and ``uuid``: the app, nonce, token and device."""
WITH_VIEW = Lookup(
    _STATEMENT.with_only_columns(*_WHO, *_SHOWN, *_NAMES)
    .outerjoin(OsVersion, OsVersion.id == Device.os_version_id)
    .outerjoin(Batch, Batch.id == Device.batch_id)
    .outerjoin(Product, Product.id == Device.product_id)
    .outerjoin(_OWNER, _OWNER.id == Binding.account_id)
)
"""The same, and what is shown of the device."""


def read(row: Row) -> Access:
    """Return what a row of `LOOK_UP` or `WITH_VIEW` says."""
    app_id, secret, used, expire, scope, account, status, role, user, app = row[:10]
    device, owner, product = row[10 : len(_WHO)]
    return Access(
        app_id=app_id,
        secret=secret,
        nonce_used=used is not None,
        token_expire_time=expire,
        scope=scope,
        account_id=account,
        account_status=status,
        role=role,
        device_id=device,
        owner_id=owner,
        app_bound=product is not None,
        user_name=user,
        app_name=app,
        view=None if device is None else _view(device, row[len(_WHO) :]),
    )


def _view(device_id: int, row: Row) -> DeviceView | None:
    if not row:
        return None
    values = {column.key: value for column, value in zip(_SHOWN, row, strict=False)}
    version, batch, product, kind, series, owner, proven = row[len(_SHOWN) :]
    # SQLite itself knows no truth values.
    is_proven = None if proven is None else bool(proven)
    device = Device(id=device_id, **values)
    return DeviceView(device, version, batch, product, kind, series, owner, is_proven)


@dataclass(frozen=True, slots=True)
class Standing:
    """An app's relation to a device: whether it is bound to the product, and the device's owner."""

    app_bound: bool
    owner_id: int | None


def standings(session: Session, app_id: int, uuids: list[str]) -> dict[str, Standing]:
    """Return an app's relation to each of the given devices that exist, by uuid."""
    rows = session.execute(
        select(Device.uuid, AppProduct.app_id, Binding.account_id)
        .outerjoin(Binding, Binding.device_id == Device.id)
        .outerjoin(
            AppProduct,
            and_(AppProduct.product_id == Device.product_id, AppProduct.app_id == app_id),
        )
        .where(Device.uuid.in_(uuids))
    )
    return {uuid: Standing(bound is not None, owner) for uuid, bound, owner in rows}
