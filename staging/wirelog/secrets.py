"""What of a device must not be in its wire log, from the store."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError
from staging.store.models import Device


def secrets_of(session: Session, uuid: str) -> list[str]:
    """Return a device's token and bind tokens, also the one to come; raises NotFoundError."""
    row = session.execute(
        select(Device.token, Device.bind_token, Device.next_bind_token).where(
            Device.uuid == uuid.lower()
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"device {uuid}: there is none")
    return [text for text in row if text]
