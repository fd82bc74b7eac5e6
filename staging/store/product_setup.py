"""Set-up of products with test devices, batches, data points, and the products of apps.

The document's section 2.5.2 ("使用接口必要的流程和配置") lists these steps. Each is a function here,
which the commands and the console call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError, StagingError
from staging.store import devices
from staging.store.models import App, AppProduct, Batch, Device, Product
from staging.store.products import BATCH_NAME, DATA_POINTS, PRODUCT_NAME
from wire.datapoints import parse_description
from wire.errors import FieldError
from wire.names import check_product
from wire.text import kept, parse_text, spellings

# "默认会产生20个测试设备": the number of test devices of a new product.
TEST_DEVICES = 20
# A batch is created in one transaction; larger deliveries need several batches.
BATCH_LIMIT = 10_000
NAME_LIMIT = 64
DATA_POINTS_LIMIT = 100
# The document's "version" of a device: 0 in development, 1 in use (2.4).
IN_DEVELOPMENT, IN_USE = 0, 1


@dataclass(frozen=True, slots=True)
class ProductView:
    """A product, how many devices and data points it has, and the ids of the apps bound to it."""

    product: Product = field(repr=False)
    devices: int
    data_points: int
    app_ids: list[int]


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch with the number of its devices."""

    batch: Batch = field(repr=False)
    devices: int


def _points() -> dict[str, dict[str, Any]]:
    resources: Any = DATA_POINTS["resources"]
    return {point["name"]: point for point in resources}


# Sets of data points to add in one step; each point is one of the document's (3.1).
TEMPLATES: Mapping[str, tuple[str, ...]] = {
    PRODUCT_NAME: ("play", "volume", "switch", "power"),
    "voice": ("play", "volume"),
    "supply": ("switch", "power"),
}


def add_product(
    session: Session,
    name: str,
    now: int,
    *,
    test_devices: int = TEST_DEVICES,
    template: str | None = None,
) -> Product:
    """Create a product with a first batch of test devices, and the data points of a template.

    Raises:
        FieldError: the name or the number of devices is not valid.
        StagingError: the product exists already.
        NotFoundError: there is no such template.
    """
    name = check_product(kept(name), "name")
    if session.scalar(select(Product.id).where(Product.name.in_(spellings(name)))) is not None:
        raise StagingError(f"product {name}: there is one already")
    made = Product(name=name, data_points={"resources": [], "report": []}, create_time=now)
    session.add(made)
    session.flush()
    _new_batch(session, made, BATCH_NAME, test_devices, IN_DEVELOPMENT, now)
    if template is not None:
        apply_template(session, made.id, template)
    return made


def products(session: Session) -> list[ProductView]:
    """Return every product, oldest first."""
    counted = select(Device.product_id, func.count()).group_by(Device.product_id)
    counts = {product_id: count for product_id, count in session.execute(counted)}  # noqa: C416  # rows are no pairs to mypy
    apps: dict[int, list[int]] = {}
    for app_id, product_id in session.execute(
        select(AppProduct.app_id, AppProduct.product_id).order_by(AppProduct.app_id)
    ):
        apps.setdefault(product_id, []).append(app_id)
    return [
        ProductView(p, counts.get(p.id, 0), len(_own_points(p)), apps.get(p.id, []))
        for p in session.scalars(select(Product).order_by(Product.id))
    ]


def find(session: Session, product_id: int) -> Product | None:
    """Return a product by its id, or None."""
    return session.get(Product, product_id)


def product(session: Session, name: str) -> Product:
    """Return a product by its name; raises NotFoundError."""
    named = session.scalars(select(Product).where(Product.name.in_(spellings(name))))
    # Two that differ in spelling alone may have been added by an older version.
    found = min(named, key=lambda one: one.name != name, default=None)
    if found is None:
        raise NotFoundError(f"product {name}: there is none")
    return found


def add_batch(
    session: Session, product_id: int, name: str, count: int, now: int
) -> tuple[Batch, list[Device]]:
    """Create a batch of devices that are in use; returns the batch and its devices.

    Raises:
        FieldError: the name or the count is not valid.
        StagingError: the product has a batch of this name already.
        NotFoundError: there is no such product.
    """
    found = _get(session, product_id)
    name = parse_text("name", name, NAME_LIMIT)
    same = Batch.name.in_(spellings(name))
    taken = select(Batch.id).where(Batch.product_id == product_id, same)
    if session.scalar(taken) is not None:
        raise StagingError(f"batch {name}: the product has one already")
    return _new_batch(session, found, name, count, IN_USE, now)


def batches(session: Session, product_id: int) -> list[BatchView]:
    """Return a product's batches, oldest first."""
    rows = session.execute(
        select(Batch, func.count(Device.id))
        .outerjoin(Device, Device.batch_id == Batch.id)
        .where(Batch.product_id == product_id)
        .group_by(Batch.id)
        .order_by(Batch.id)
    )
    return [BatchView(batch, count) for batch, count in rows]


def _own_points(product: Product) -> list[dict[str, Any]]:
    """Return a product's data points; none where its row cannot be read."""
    found: list[dict[str, Any]] = (product.data_points or {}).get("resources", [])
    return found


def data_points(session: Session, product_id: int) -> list[dict[str, Any]]:
    """Return a product's data points, as the self-description has them; raises NotFoundError."""
    resources = _own_points(_get(session, product_id))
    return list(resources)


def add_data_point(session: Session, product_id: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Add a data point with the open API's keys (3.1); returns it as stored.

    Raises:
        WireError: a member does not follow the document; the message names it.
        StagingError: the product has one of this name, or too many.
    """
    kept = parse_description(dict(entry)).to_json()
    _extend(session, product_id, [kept])
    return kept


def remove_data_point(session: Session, product_id: int, name: str) -> None:
    """Remove a data point from a product; raises NotFoundError."""
    present = data_points(session, product_id)
    left = [point for point in present if point["name"] != name]
    if len(left) == len(present):
        raise NotFoundError(f"data point {name}: the product has none")
    _replace(session, product_id, left)


def apply_template(session: Session, product_id: int, template: str) -> list[dict[str, Any]]:
    """Add those data points of a template that the product does not have; returns the added ones.

    Raises:
        NotFoundError: there is no such template or product.
    """
    if template not in TEMPLATES:
        raise NotFoundError(f"template {template}: there is none; there are {', '.join(TEMPLATES)}")
    present = {point["name"] for point in data_points(session, product_id)}
    points = _points()
    new = [points[name] for name in TEMPLATES[template] if name not in present]
    _extend(session, product_id, new)
    return new


def bind_app(session: Session, app_id: int, product_id: int) -> None:
    """Let an app bind and control a product's devices; raises NotFoundError."""
    _get(session, product_id)
    if session.get(App, app_id) is None:
        raise NotFoundError(f"app {app_id}: there is none")
    if session.get(AppProduct, (app_id, product_id)) is None:
        session.add(AppProduct(app_id=app_id, product_id=product_id))
        session.flush()


def unbind_app(session: Session, app_id: int, product_id: int) -> None:
    """Unbind an app from a product; raises NotFoundError if it is not bound."""
    bound = session.get(AppProduct, (app_id, product_id))
    if bound is None:
        raise NotFoundError(f"app {app_id}: is not bound to product {product_id}")
    session.delete(bound)
    session.flush()


def _get(session: Session, product_id: int) -> Product:
    found = find(session, product_id)
    if found is None:
        raise NotFoundError(f"product {product_id}: there is none")
    return found


def _new_batch(
    session: Session, owner: Product, name: str, count: int, version: int, now: int
) -> tuple[Batch, list[Device]]:
    if not 0 <= count <= BATCH_LIMIT:
        raise FieldError("count", count, f"0 to {BATCH_LIMIT} devices")
    made = Batch(product_id=owner.id, name=name)
    session.add(made)
    session.flush()
    return made, devices.make(session, made, count, version, now)


def _extend(session: Session, product_id: int, new: list[dict[str, Any]]) -> None:
    present = data_points(session, product_id)
    names = {point["name"] for point in present}
    for point in new:
        if point["name"] in names:
            raise StagingError(f"data point {point['name']}: the product has one already")
    if len(present) + len(new) > DATA_POINTS_LIMIT:
        raise StagingError(f"data points: a product has at most {DATA_POINTS_LIMIT}")
    _replace(session, product_id, present + new)


def _replace(session: Session, product_id: int, points: list[dict[str, Any]]) -> None:
    found = _get(session, product_id)
    # A new object, because SQLAlchemy does not see changes inside a JSON column.
    found.data_points = {**found.data_points, "resources": points}
    session.flush()
