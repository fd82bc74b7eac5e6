"""Where versions that nobody has verified may run: on no machine of a family."""

from __future__ import annotations

from sqlalchemy.orm import Session

from staging.errors import NotForVerificationError
from staging.identity import rights
from staging.store.models import Binding, Device


def check(session: Session, device: Device, account_id: int | None) -> None:
    """Refuse a device that is in a family's hands; raises NotForVerificationError.

    ``account_id``: who orders it at the console, for devices under development and their own; None: a
    command, for those that nobody has bound too.
    """
    binding = session.get(Binding, device.id)
    owner = None if binding is None else binding.account_id
    if account_id is None:
        allowed = owner is None or device.version == rights.IN_DEVELOPMENT
    else:
        allowed = rights.standing(device.version, owner, account_id) in rights.VERIFYING
    if not allowed:
        raise NotForVerificationError(device.uuid)
