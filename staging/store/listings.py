"""What devices can be filtered by: the names of products, batches and versions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.store.models import Batch, OsVersion, Product

# Of one kind and product: more than a list to choose from shows. The newest are kept.
CHOICES_LIMIT = 200


def choices(session: Session) -> list[dict[str, Any]]:
    """Return ``{"name", "batches", "versions"}`` of each product by name, versions newest first."""
    return [
        {
            "name": name,
            "batches": _names(
                session,
                select(Batch.name).where(Batch.product_id == number).order_by(Batch.id.desc()),
            ),
            "versions": _names(
                session,
                select(OsVersion.version)
                .where(OsVersion.product_id == number)
                .order_by(OsVersion.place.desc(), OsVersion.id),
            ),
        }
        for number, name in session.execute(
            select(Product.id, Product.name).order_by(Product.name)
        ).all()
    ]


def _names(session: Session, statement: Any) -> list[str]:
    return list(session.scalars(statement.limit(CHOICES_LIMIT)))
