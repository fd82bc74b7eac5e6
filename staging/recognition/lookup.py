"""Looks up the facts about a device that recognition needs, in one query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError
from staging.store.models import Device, Product
from staging.store.product_setup import product


@dataclass(frozen=True, slots=True)
class Known:
    """A device's uuid, its product's name, and its self-description or its product's."""

    uuid: str
    product: str
    description: Mapping[str, Any]


def look_up(session: Session, uuid: str) -> Known:
    """Return the facts about a device; raises NotFoundError."""
    row = session.execute(
        select(Device.uuid, Product.name, Device.description, Product.data_points)
        .join(Product, Product.id == Device.product_id)
        .where(Device.uuid == uuid.lower())
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"device {uuid}: there is none")
    known, product, own, template = row
    return Known(known, product, template if own is None else own)


def find_product(session: Session, name: str) -> str:
    """Return the name of a product as it is stored; raises NotFoundError."""
    return product(session, name).name
