"""Bind tokens that are renewed when a family has gone (docs/adr/0051).

The new token is agreed in two steps, so that no power cut loses it: the cloud stores it as the next one, the device puts
it onto its disk and says so, and only then does it take the old one's place. Until then the old one binds, since it is
what the device shows; but not for the accounts that have gone.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from staging.store.models import ACTIVATED, Account, Binding, Device

_BYTES = 16
# Devices that one look for waiting renewals returns.
WAITING_LIMIT = 500


class Renewal(StrEnum):
    """What has become of a device's bind token."""

    DONE = "done"
    """It is the device's and the cloud's."""
    WAITING = "waiting"
    """The new one is sent when the device is connected."""
    CANNOT = "cannot"
    """Its firmware takes no new one: whoever knew it can bind the device again."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A device whose bind token is to be renewed, and cannot or has not yet been."""

    uuid: str
    renewal: Renewal
    owner: str | None
    """The account that has it now, by its name."""


def same(known: str | None, given: str) -> bool:
    """Compare two bind tokens in constant time; an unknown one is like none."""
    return hmac.compare_digest((known or "").lower().encode(), given.lower().encode())


def renewal_of(device: Device) -> Renewal:
    """Return what has become of a device's bind token."""
    if device.next_bind_token is None:
        return Renewal.DONE
    # A device that has never been here may well take it.
    waits = device.renews or (device.renews is None and device.status != ACTIVATED)
    return Renewal.WAITING if waits else Renewal.CANNOT


def renew(session: Session, device: Device, former: int | None, now: int) -> None:
    """Let a device's bind token be renewed; ``former`` is the account that knows the present one.

    An account is barred only where another token will come: firmware that takes none would lock its own family out.
    """
    if device.next_bind_token is None:
        device.next_bind_token = secrets.token_hex(_BYTES)
    if former is not None and device.renews and former not in device.barred:
        device.barred = [*device.barred, former]
    device.update_time = now
    session.flush()


def confirm(device: Device, token: str, now: int) -> bool:
    """Note that a device shows ``token``; return whether it is the right one: the present, or the next."""
    if device.next_bind_token is not None and same(device.next_bind_token, token):
        device.bind_token, device.next_bind_token = device.next_bind_token, None
        device.barred, device.update_time = [], now
    known = same(device.bind_token, token)
    device.bind_token_differs = not known
    return known


def note_stored(session: Session, device_id: int, token: str, now: int) -> None:
    """Note that a device has ``token`` on its disk, as it answered."""
    confirm(session.get_one(Device, device_id), token, now)


def note_reads(device: Device, *, renews: bool) -> None:
    """Note whether a device's firmware takes a new bind token."""
    if device.renews is not renews:
        device.renews = renews


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a device is to be told.

    Attributes:
        token: the bind token that it is to show; None: it shows the right one.
        since: up to when (ms) everything is of a family that has gone; 0: nothing is.
    """

    token: str | None
    since: int


def wanted(session: Session, device_id: int) -> Wanted:
    """Return what a device is to be told of its family; one that shows an old token gets the present one again."""
    # Not the whole row: each device that comes is asked about, and its self-description is long.
    columns = (
        Device.next_bind_token,
        Device.bind_token,
        Device.bind_token_differs,
        Device.family_since,
    )
    found = session.execute(select(*columns).where(Device.id == device_id)).one()
    token = found.next_bind_token
    if token is None and found.bind_token_differs:
        token = found.bind_token
    return Wanted(token, found.family_since)


def _is_waiting() -> ColumnElement[bool]:
    differs = and_(Device.bind_token_differs.is_(True), Device.renews.is_(True))
    return or_(Device.next_bind_token.is_not(None), differs)


def waiting(session: Session) -> list[str]:
    """Return the uuids of devices that are to be told a bind token."""
    found = select(Device.uuid).where(_is_waiting(), Device.renews.is_(True))
    return list(session.scalars(found.order_by(Device.id).limit(WAITING_LIMIT)))


def pending(session: Session) -> list[Pending]:
    """Return the devices whose bind token is not renewed yet, for the operator."""
    found = (
        select(Device, Account.user_name)
        .outerjoin(Binding, Binding.device_id == Device.id)
        .outerjoin(Account, Account.id == Binding.account_id)
        .where(Device.next_bind_token.is_not(None))
        .order_by(Device.id)
    )
    return [Pending(row.uuid, renewal_of(row), owner) for row, owner in session.execute(found)]
