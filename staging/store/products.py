"""Products, their batches and their versions."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.releases.template import BATCH_NAME, DATA_POINTS, PRODUCT_NAME
from staging.store.models import Batch, OsVersion, Product


def default_product(session: Session, now: int) -> Product:
    """Return the default product; the first call creates it with one batch."""
    product = session.scalar(select(Product).where(Product.name == PRODUCT_NAME))
    return product or add_product(session, PRODUCT_NAME, now)


def add_product(session: Session, name: str, now: int) -> Product:
    """Create a product with the document's data points and one batch."""
    product = Product(name=name, data_points=DATA_POINTS, create_time=now)
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


def os_version(session: Session, product_id: int, version: str) -> OsVersion:
    """Return a product's version, created if needed."""
    found = session.scalar(
        select(OsVersion).where(OsVersion.product_id == product_id, OsVersion.version == version)
    )
    if found is None:
        found = OsVersion(product_id=product_id, version=version)
        session.add(found)
        session.flush()
    return found
