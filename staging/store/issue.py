"""Which devices of a batch have left the cloud: their profiles were handed out, and are not by mistake a second time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from staging.errors import NotFoundError, StagingError
from staging.store import devices
from staging.store.models import UNACTIVATED, Batch, Binding, Device, Product
from staging.times import iso
from wire.text import spellings


def find_batch(session: Session, product: Product, name: str) -> Batch:
    """Return a product's batch by its name; raises NotFoundError."""
    wanted = select(Batch).where(Batch.product_id == product.id, Batch.name.in_(spellings(name)))
    found = session.scalar(wanted)
    if found is None:
        raise NotFoundError(f"batch {name}: product {product.name} has none of this name")
    return found


def counts(session: Session, batch_id: int) -> tuple[int, int, int | None]:
    """Return how many devices a batch has, how many of them were issued, and when the last ones were."""
    row = session.execute(
        select(func.count(), func.count(Device.issue_time), func.max(Device.issue_time)).where(
            Device.batch_id == batch_id
        )
    ).one()
    return int(row[0]), int(row[1]), row[2]


def issue(session: Session, batch_id: int, at: int, *, again: bool) -> None:
    """Mark as issued at ``at`` the devices that were not, or with ``again`` all; the same call twice is one."""
    fresh = Device.issue_time.is_(None)
    wanted = or_(fresh, Device.issue_time < at) if again else fresh
    session.execute(update(Device).where(Device.batch_id == batch_id, wanted).values(issue_time=at))


def issued_at(session: Session, batch_id: int, at: int) -> Sequence[tuple[int, Device]]:
    """Return the devices that were issued at ``at``, each with its number in the batch, from 1."""
    ordered = session.scalars(
        select(Device).where(Device.batch_id == batch_id).order_by(Device.id)
    ).all()
    return [(n, device) for n, device in enumerate(ordered, 1) if device.issue_time == at]


class NotHandedOutError(StagingError):
    """A profile is not handed out at the console: it was before, or to somebody else."""


def note_maker(session: Session, batch_id: int, account_id: int) -> None:
    """Note the account that makes a batch at the console."""
    session.get_one(Batch, batch_id).made_by = account_id


def take_profile(session: Session, uuid: str, account_id: int, now: int) -> Device:
    """Hand out a device's profile: once, to the account that made its batch, before anybody has used it.

    Raises:
        NotFoundError: there is no such device.
        NotHandedOutError: it was handed out, is used already, or somebody else made it.
    """
    device = devices.get(session, uuid)
    if session.get_one(Batch, device.batch_id).made_by != account_id:
        raise NotHandedOutError(f"device {uuid}: somebody else made it; only they get its profile")
    if device.issue_time is not None:
        raise NotHandedOutError(
            f"device {uuid}: its profile was handed out at {iso(device.issue_time)}"
        )
    if device.status != UNACTIVATED or session.get(Binding, device.id) is not None:
        raise NotHandedOutError(f"device {uuid}: it is in use already")
    device.issue_time = now
    return device
