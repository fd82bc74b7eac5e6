"""A request for each code of the open API document's table (2.5.2), which the cloud answers with that code.

The requests are about products, devices, accounts and an app of their own, all named ``api-explorer``, which are made
when the first of them is asked for: nobody's device is touched, and the app reaches no other product. A caller gets the
app's secret and a token with each: they open nothing but these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.errors import ErrorCode
from staging.identity.oauth import ALL_SCOPE, Scope
from staging.store import (
    accounts,
    apps,
    devices,
    ota,
    product_setup,
    products,
    releases,
    rollout_acts,
)
from staging.store.apps import AppType
from staging.store.models import (
    DISABLE,
    PUBLISHED,
    AccessToken,
    Account,
    App,
    AppProduct,
    Binding,
    Device,
    Package,
    Product,
    Strategy,
)
from staging.store.order_rules import ACTIVE
from staging.store.releases import StrategyType, Target

NAME: Final = "api-explorer"
DONE: Final = "0"
"""The code of a request that is answered."""
EXPIRED: Final = "426"
# What a request names that is nowhere: the cloud makes neither such a uuid nor so many ids.
NO_UUID, NO_ID, NO_TOKEN = "f" * 14, 10**15, "0" * 32
_DEVICES = ("own", "free", "neighbours", "busy", "newer")
_OFFERED, _ELSEWHERE, _RUNNING = "1.0", "1.1", "9.0"
_NO_PACKAGE = Target(f"{NAME}/none", 1, "0" * 32, "0" * 64)
_BATCH_ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Case:
    """A request, to be signed with ``secret``; ``path`` is below ``/v1``."""

    method: str
    path: str
    app: App
    token: str = field(repr=False)
    user: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the requests are about."""

    app: App
    user: Account
    disabled: Account
    devices: Mapping[str, Device]
    foreign: Device
    """A device of a product that the app is not bound to."""
    package: int
    strategy: int
    elsewhere: int
    elsewhere_strategy: int
    foreign_package: int

    def uuid(self, name: str) -> str:
        return self.devices[name].uuid


_Asked = tuple[str, str, Mapping[str, Any]]
_BY_UUID, _ORDER, _CONNECT = (
    "/device/info/by_uuid",
    "/device/ota/update",
    "/device/query/data/connect",
)
_SEND, _BIND = "/device/control/send", "/device/bind"


def _order(uuid: str, package: object, strategy: object = None) -> _Asked:
    body = {"deviceUuid": uuid, "packageId": package}
    return "POST", _ORDER, body if strategy is None else body | {"strategyId": strategy}


def _connect(*uuids: str) -> _Asked:
    return "POST", _CONNECT, {"deviceUuids": list(uuids)}


_REQUESTS: Mapping[str, Callable[[_Ground], _Asked]] = {
    DONE: lambda g: ("GET", _BY_UUID, {"deviceUuid": g.uuid("own")}),
    EXPIRED: lambda _: ("GET", "/account/validate", {}),
    "1204": lambda g: _order(g.uuid("own"), g.foreign_package),
    "1208": lambda _: ("GET", _BY_UUID, {"deviceUuid": "xyz"}),
    "1209": lambda _: ("GET", _BY_UUID, {"deviceUuid": NO_UUID}),
    "1211": lambda _: ("GET", "/account/validate", {}),
    "1212": lambda g: ("GET", _BY_UUID, {"deviceUuid": g.uuid("free")}),
    "1218": lambda _: ("GET", "/account/infos", {}),
    "1219": lambda g: ("POST", _BIND, {"deviceUuid": g.uuid("free"), "token": "xyz"}),
    "1223": lambda g: ("GET", _BY_UUID, {"deviceUuid": g.foreign.uuid}),
    "1228": lambda g: ("POST", _BIND, {"deviceUuid": g.uuid("free"), "token": NO_TOKEN}),
    "1305": lambda g: (
        "POST",
        _SEND,
        {"deviceUuid": g.uuid("own"), "method": "GET", "name": "colour"},
    ),
    "1308": lambda g: (
        "POST",
        _SEND,
        {"deviceUuid": g.uuid("own"), "method": "DELETE", "name": "volume"},
    ),
    "1401": lambda g: (
        "GET",
        "/device/query/data/history",
        {"deviceUuid": g.uuid("own"), "limit": 101},
    ),
    "1506": lambda g: _order(g.uuid("own"), NO_ID),
    "1801": lambda _: _connect(),
    "1802": lambda g: _connect(g.uuid("neighbours")),
    "1803": lambda g: _connect(*[g.uuid("own")] * 21),
    "1902": lambda g: _order(g.uuid("own"), g.package, NO_ID),
    "1905": lambda g: _order(g.uuid("own"), g.elsewhere, g.elsewhere_strategy),
    "2001": lambda g: _order(g.uuid("own"), "x"),
    "2004": lambda g: _order(g.uuid("busy"), g.package, g.strategy),
    "2005": lambda g: ("GET", "/device/ota/update/status", {"deviceUuid": g.uuid("own")}),
    "2007": lambda g: _order(g.uuid("newer"), g.package, g.strategy),
}
CODES: Final = tuple(_REQUESTS)
"""The codes that there is a request for: 0, 426 and the document's 22."""


def prepare(session: Session, code: str, now: int) -> Case:
    """Return a request that is answered with ``code``, one of `CODES`; makes what it is about. ``now`` in ms."""
    ground = _ground(session, now)
    method, path, given = _REQUESTS[code](ground)
    user = ground.disabled if code == str(int(ErrorCode.ACCOUNT_NOT_FOUND)) else ground.user
    scope = Scope.DEVICE if code == str(int(ErrorCode.NO_PERMISSION)) else ALL_SCOPE
    token = apps.grant(session, ground.app.id, user.id, [scope], now)
    if code == EXPIRED:
        digest = apps.token_digest(token)
        session.scalars(
            select(AccessToken).where(AccessToken.digest == digest)
        ).one().expire_time = now
    query, body = (given, None) if method == "GET" else ({}, given)
    return Case(method, path, ground.app, token, user.user_name, query, body)


def _ground(session: Session, now: int) -> _Ground:
    """Return what the requests are about, made if it is not there."""
    product, foreign = _product(session, NAME, now), _product(session, f"{NAME}-2", now)
    user = accounts.find_or_make(session, NAME, now)
    disabled = accounts.find_or_make(session, f"{NAME}-disabled", now)
    disabled.status = DISABLE
    neighbour = accounts.find_or_make(session, f"{NAME}-neighbour", now)
    made = dict(zip(_DEVICES, _devices(session, product, len(_DEVICES), now), strict=True))
    for name, owner in (("own", user), ("neighbours", neighbour), ("busy", user), ("newer", user)):
        _bind(session, made[name], owner, now)
    package, strategy = _version(session, product, _OFFERED, [], now)
    elsewhere, elsewhere_strategy = _version(session, product, _ELSEWHERE, [_BATCH_ELSEWHERE], now)
    foreign_package, _ = _version(session, foreign, _OFFERED, [], now)
    made["newer"].os_version_id = products.os_version(session, product.id, _RUNNING).id
    session.flush()
    _keep_busy(session, made["busy"], package, strategy, now)
    return _Ground(
        _app(session, product, now), user, disabled, made, _devices(session, foreign, 1, now)[0],
        package, strategy, elsewhere, elsewhere_strategy, foreign_package,
    )  # fmt: skip


def _product(session: Session, name: str, now: int) -> Product:
    found = session.scalar(select(Product).where(Product.name == name))
    if found is not None:
        return found
    template = products.PRODUCT_NAME
    return product_setup.add_product(session, name, now, test_devices=0, template=template)


def _devices(session: Session, product: Product, count: int, now: int) -> list[Device]:
    batch = products.batch(session, product, products.BATCH_NAME)
    found = devices.of_batch(session, batch.id, count)
    lacking = count - len(found)
    return found + devices.make(session, batch, lacking, product_setup.IN_DEVELOPMENT, now)


def _bind(session: Session, device: Device, owner: Account, now: int) -> None:
    binding = session.scalar(select(Binding).where(Binding.device_id == device.id))
    if binding is None:
        session.add(Binding(device_id=device.id, account_id=owner.id, create_time=now))
    else:
        binding.account_id = owner.id


def _app(session: Session, product: Product, now: int) -> App:
    found = session.scalar(select(App).where(App.name == NAME).order_by(App.id).limit(1))
    if found is None:
        found = apps.add_app(session, NAME, AppType.WEB, None, now)
        session.flush()
    for bound in session.scalars(select(AppProduct).where(AppProduct.app_id == found.id)):
        if bound.product_id != product.id:
            session.delete(bound)
    product_setup.bind_app(session, found.id, product.id)
    return found


def _version(
    session: Session, product: Product, version: str, batches: list[str], now: int
) -> tuple[int, int]:
    """Return the ids of a package, which nobody can fetch, and of a strategy that offers it."""
    number = products.os_version(session, product.id, version).id
    package = session.scalar(select(Package).where(Package.os_version_id == number))
    if package is None:
        package = releases.add_package(
            session, version, _NO_PACKAGE, NAME, now, product_id=product.id
        )
    strategy = session.scalar(select(Strategy).where(Strategy.package_id == package.id).limit(1))
    if strategy is None:
        for name in batches:
            products.batch(session, product, name)
        kind = StrategyType.PASSIVE
        strategy = releases.add_strategy(
            session, version, kind, [], batches, now, product_id=product.id
        )
    if strategy.status != PUBLISHED:
        rollout_acts.start(session, strategy.id, now)
    return package.id, strategy.id


def _keep_busy(session: Session, device: Device, package: int, strategy: int, now: int) -> None:
    view = ota.latest(session, device.id)
    if view is None or view.task.status not in ACTIVE:
        ota.create(session, device.id, package, strategy, now)
