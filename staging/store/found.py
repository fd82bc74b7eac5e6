"""One row by its name, for the modules of the store that may not import each other."""

from __future__ import annotations

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
