"""One row by its name, for the modules of the store that may not import each other."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError
from staging.store.models import Device


def device(session: Session, uuid: str) -> Device:
    """Return a device; raises NotFoundError."""
    row = session.scalar(select(Device).where(Device.uuid == uuid.lower()))
    if row is None:
        raise NotFoundError(f"device {uuid}: there is none")
    return row


def numbers(session: Session, uuids: Sequence[str]) -> list[int]:
    """Return the numbers of devices; one that there is not has a negative one, which none has."""
    asked = session.execute(select(Device.uuid, Device.id).where(Device.uuid.in_(uuids)))
    known = {uuid: number for uuid, number in asked}  # noqa: C416  # rows are no pairs to a type checker
    return [known.get(uuid, -place) for place, uuid in enumerate(dict.fromkeys(uuids), 1)]
