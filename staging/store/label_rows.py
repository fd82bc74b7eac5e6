"""What stands on the labels of chosen devices, where a label may be had.

A label binds its machine. Whoever may print labels binds machines that nobody and no family has had without one
(`staging.store.bulk`), so these have labels, and one's own; others do not, nor those whose token is being renewed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from staging.identity.rights import Viewer
from staging.store.models import Batch, Binding, Device, Product


@dataclass(frozen=True, slots=True)
class Label:
    """One machine's label; ``number`` counts from 1 within its batch."""

    uuid: str
    bind_token: str = field(repr=False)
    batch: str
    product: str
    number: int


def of(session: Session, ids: Sequence[int], viewer: Viewer) -> list[Label]:
    """Return the labels of those of the devices that may have one, by product, batch and number."""
    free = and_(Binding.device_id.is_(None), Device.family_since == 0)
    rows = session.execute(
        select(Device.id, Device.uuid, Device.bind_token, Device.batch_id, Batch.name, Product.name)
        .join(Batch, Batch.id == Device.batch_id)
        .join(Product, Product.id == Device.product_id)
        .outerjoin(Binding, Binding.device_id == Device.id)
        .where(
            Device.id.in_(ids), Device.bind_token.is_not(None), Device.next_bind_token.is_(None),
            Device.bind_token_differs.is_(False),
            or_(free, Binding.account_id == viewer.account_id),
        )
        .order_by(Product.name, Batch.name, Device.id)
    ).all()  # fmt: skip
    numbers = _numbers(session, {row[3] for row in rows})
    return [
        Label(uuid, token or "", batch, product, numbers[number])
        for number, uuid, token, _, batch, product in rows
    ]


def _numbers(session: Session, batches: set[int]) -> dict[int, int]:
    place = func.row_number().over(partition_by=Device.batch_id, order_by=Device.id)
    counted = select(Device.id, place).where(Device.batch_id.in_(batches))
    return {device: number for device, number in session.execute(counted)}  # noqa: C416  # rows are no pairs to a type checker
