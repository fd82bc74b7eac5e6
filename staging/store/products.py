"""The default product, which exists from the start, and the batches and versions of any product.

The default product has the open API document's four data points. They stand in for the
self-description of a device that has sent none.
"""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from staging.store.models import Batch, OsVersion, Product
from wire.datapoints import self_description
from wire.story_points import STORY_POINTS

PRODUCT_NAME = "story-machine"
# The name of each product's first batch.
BATCH_NAME = "0000"
FIRST_VERSION = "0.0.0.0"  # noqa: S104  # a version, the document's osVersion of a new device
DATA_POINTS = self_description(STORY_POINTS)


def has_default(session: Session) -> bool:
    """Return whether the default product is there."""
    return session.scalar(select(Product.id).where(Product.name == PRODUCT_NAME)) is not None


def default_product(session: Session, now: int) -> Product:
    """Return the default product; the first call creates it with one batch."""
    product = session.scalar(select(Product).where(Product.name == PRODUCT_NAME))
    if product is None:
        product = Product(name=PRODUCT_NAME, data_points=DATA_POINTS, create_time=now)
        session.add(product)
        session.flush()
        batch(session, product, BATCH_NAME)
    return product


def batch(session: Session, product: Product, name: str) -> Batch:
    """Return a product's batch, created if needed."""
    found = session.scalar(select(Batch).where(Batch.product_id == product.id, Batch.name == name))
    if found is None:
        found = Batch(product_id=product.id, name=name)
        session.add(found)
        session.flush()
    return found


_OS_VERSION = select(OsVersion).where(  # made once: devices report their versions
    OsVersion.product_id == bindparam("product"), OsVersion.version == bindparam("version")
)


def os_version(session: Session, product_id: int, version: str) -> OsVersion:
    """Return a product's version, created if needed."""
    found = session.scalar(_OS_VERSION, {"product": product_id, "version": version})
    if found is None:
        found = OsVersion(product_id=product_id, version=version)
        session.add(found)
        session.flush()
    return found
