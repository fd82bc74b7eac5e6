"""Devices: creation, registration, self-description and binding to accounts."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import String, bindparam, func, select, update
from sqlalchemy.orm import Session

from staging.errors import (
    AlreadyBoundError,
    ErrorCode,
    NotFoundError,
    RefusedError,
    StagingError,
)
from staging.store import bind_tokens, family, found
from staging.store.history import AHEAD_MS, bring_back
from staging.store.lookups import Lookup
from staging.store.models import (
    ACTIVATED,
    ENABLE,
    Account,
    AppProduct,
    Batch,
    Binding,
    Device,
    OsVersion,
    Product,
)
from staging.store.products import (
    BATCH_NAME,
    FIRST_VERSION,
    batch,
    default_product,
    os_version,
)
from wire.errors import FieldError
from wire.profile import UUID_PATTERN

# Characters of the name that its owner gives a device.
NAME_LIMIT = 64
_UUID_BYTES, _BIND_TOKEN_BYTES = 7, 16


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device with the names of the rows it refers to; ``account_uuid`` is None while unbound.

    ``proven``: None while unbound; False: its owner has bound it with a token that others may know.
    """

    device: Device = field(repr=False)
    os_version: str
    batch: str
    product: str
    type: str
    series: str
    account_uuid: str | None
    proven: bool | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """The data to verify a device's registration."""

    id: int
    uuid: str
    token: str = field(repr=False)
    activated: bool = False
    """Whether it has registered before."""

    def accepts(self, token: str) -> bool:
        """Return, in constant time, whether this is the device's token."""
        return hmac.compare_digest(self.token.encode(), token.encode())


def add(session: Session, uuid: str | None, now: int, *, version: int = 1) -> Device:
    """Create a device of the default product; without ``uuid`` it gets a random one.

    ``version``: 0 in development, 1 in use.

    Raises:
        FieldError: the uuid is not 14 hexadecimal digits.
        StagingError: the device exists already.
    """
    uuid = (uuid or secrets.token_hex(_UUID_BYTES)).lower()
    if not UUID_PATTERN.fullmatch(uuid):
        raise FieldError("uuid", uuid, "14 hexadecimal digits")
    if session.scalar(select(Device.id).where(Device.uuid == uuid)) is not None:
        raise StagingError(f"device {uuid}: there is one already")
    product = default_product(session, now)
    owner = batch(session, product, BATCH_NAME)
    first = os_version(session, product.id, FIRST_VERSION)
    device = _new(owner, first, uuid, now)
    device.version = version
    session.add(device)
    session.flush()
    return device


def make(session: Session, owner: Batch, count: int, version: int, now: int) -> list[Device]:
    """Create a batch's devices with random uuids; ``version``: 0 in development, 1 in use."""
    # With 56 random bits, a collision in the batch or with the store is not worth handling.
    first = os_version(session, owner.product_id, FIRST_VERSION)
    made = [_new(owner, first, secrets.token_hex(_UUID_BYTES), now) for _ in range(count)]
    for device in made:
        device.version = version
    session.add_all(made)
    session.flush()
    return made


def _new(owner: Batch, first: OsVersion, uuid: str, now: int) -> Device:
    return Device(
        uuid=uuid,
        product_id=owner.product_id,
        batch_id=owner.id,
        os_version_id=first.id,
        token=secrets.token_hex(_BIND_TOKEN_BYTES),
        bind_token=secrets.token_hex(_BIND_TOKEN_BYTES),
        create_time=now,
        update_time=now,
    )


def of_batch(session: Session, batch_id: int, limit: int) -> list[Device]:
    """Return the first devices of a batch, at most ``limit``; raises NotFoundError."""
    if session.get(Batch, batch_id) is None:
        raise NotFoundError(f"batch {batch_id}: there is none")
    of_batch = select(Device).where(Device.batch_id == batch_id)
    return list(session.scalars(of_batch.order_by(Device.id).limit(limit)))


def view(session: Session, uuid: str) -> DeviceView | None:
    """Return the view of a device, or None if there is no such device."""
    row = session.execute(_VIEW.where(Device.uuid == uuid)).one_or_none()
    return None if row is None else DeviceView(*row)


def views(session: Session) -> list[DeviceView]:
    """Return every device, oldest first."""
    return [DeviceView(*row) for row in session.execute(_VIEW.order_by(Device.id))]


def views_of(session: Session, ids: Sequence[int]) -> list[DeviceView]:
    """Return devices by their numbers, in that order; those that are not there are left out."""
    known = {
        row[0].id: DeviceView(*row) for row in session.execute(_VIEW.where(Device.id.in_(ids)))
    }
    return [known[number] for number in ids if number in known]


def owned(
    session: Session, account_id: int, app_id: int, start: int, limit: int
) -> tuple[list[DeviceView], int]:
    """Return one page of an account's devices, newest first, and their total number.

    Only devices of products that the app is bound to.
    """
    of_app = select(AppProduct.product_id).where(AppProduct.app_id == app_id)
    mine = (Binding.account_id == account_id, Device.product_id.in_(of_app))
    statement = _VIEW.where(*mine).order_by(Device.id.desc()).offset(start).limit(limit)
    page = [DeviceView(*row) for row in session.execute(statement)]
    counted = select(func.count()).select_from(Device).join(Binding).where(*mine)
    return page, session.scalar(counted) or 0


_VIEW = (
    select(
        Device,
        OsVersion.version,
        Batch.name,
        Product.name,
        Product.type,
        Product.series_name,
        Account.uuid,
        Binding.proven,
    )
    .join(OsVersion, OsVersion.id == Device.os_version_id)
    .join(Batch, Batch.id == Device.batch_id)
    .join(Product, Product.id == Device.product_id)
    .outerjoin(Binding, Binding.device_id == Device.id)
    .outerjoin(Account, Account.id == Binding.account_id)
)


def get(session: Session, uuid: str) -> Device:
    """Return a device; raises NotFoundError."""
    return found.device(session, uuid)


_IDENTITY = select(Device.id, Device.uuid, Device.token, Device.status == ACTIVATED)
IDENTITY = Lookup(_IDENTITY.where(Device.uuid == bindparam("uuid", type_=String())))
"""By ``uuid`` (in lower case): the data to verify a registration, the columns of `Identity`."""


def identities(session: Session, uuids: Collection[str]) -> list[Identity]:
    """Return the identities of those of the uuids that are known."""
    return [Identity(*row) for row in session.execute(_IDENTITY.where(Device.uuid.in_(uuids)))]


def logins(session: Session, after: int) -> list[Identity]:
    """Return the identities with a number above ``after``, in the order of their numbers."""
    wanted = _IDENTITY.where(Device.id > after).order_by(Device.id)
    return [Identity(*row) for row in session.execute(wanted)]


def renew_token(session: Session, uuid: str, now: int) -> Device:
    """Give a device another token; whoever has the old one is cut off. Raises NotFoundError."""
    device = get(session, uuid)
    # Larger than all before, whatever the clocks of those who renew say: see `renewed`.
    device.token_time = max(now, last_renewal(session) + 1)
    device.token = secrets.token_hex(_BIND_TOKEN_BYTES)
    device.update_time = now
    return device


def last_renewal(session: Session) -> int:
    """Return the value with which `renewed` returns what comes from now on."""
    return session.scalar(select(func.max(Device.token_time))) or 0


def renewed(session: Session, after: int) -> tuple[list[Identity], int]:
    """Return the devices whose token was renewed after ``after``, and the value to ask with next."""
    found = session.execute(
        select(Device.id, Device.uuid, Device.token, Device.token_time)
        .where(Device.token_time > after)
        .order_by(Device.token_time)
    ).all()
    identities = [Identity(number, uuid, token) for number, uuid, token, _ in found]
    return identities, found[-1].token_time if found else after


def note_registration(session: Session, device_id: int, now: int) -> None:
    """Record that a device registered; the first registration activates it."""
    device = session.get_one(Device, device_id)
    if device.status != ACTIVATED:
        device.status, device.activate_time, device.update_time = ACTIVATED, now, now
    device.last_heartbeat_time = now


_HEARD = (
    update(Device)
    .where(Device.id == bindparam("device"))
    .values(last_heartbeat_time=bindparam("at"))
)


def note_heard(session: Session, heard: Mapping[int, int]) -> None:
    """Record when devices were heard last: ms, by the devices' numbers."""
    rows = [{"device": device_id, "at": at} for device_id, at in heard.items()]
    session.connection().execute(_HEARD, rows)


def set_description(session: Session, device_id: int, description: dict[str, Any] | None) -> None:
    """Store a device's self-description; None means the product's data points."""
    device = session.get_one(Device, device_id)
    if device.description != description:
        device.description = description


def told_description(session: Session, device_id: int) -> dict[str, Any] | None:
    """Return the self-description that a device has sent; None: it has sent none."""
    return session.scalar(select(Device.description).where(Device.id == device_id))


def description(session: Session, uuid: str) -> dict[str, Any]:
    """Return a device's self-description, or its product's data points; raises NotFoundError."""
    return points_of(session, get(session, uuid))


def points_of(session: Session, device: Device) -> dict[str, Any]:
    """Return a device's self-description, or its product's data points if it has sent none."""
    if device.description is not None:
        return device.description
    return session.get_one(Product, device.product_id).data_points or {"resources": []}


def bind(session: Session, uuid: str, bind_token: str, account_id: int, now: int) -> None:
    """Bind a device to an account.

    A binding by a token that was about to be renewed gives way to one by the new token, which only who has the
    machine can read.

    Raises:
        RefusedError: 1209, 1211 or 1228.
        AlreadyBoundError: it is bound, to this account or another.
    """
    device = session.scalar(select(Device).where(Device.uuid == uuid))
    if device is None:
        raise RefusedError(ErrorCode.DEVICE_NOT_EXIST, uuid)
    account = session.get(Account, account_id)
    if account is None or account.status != ENABLE:
        raise RefusedError(ErrorCode.ACCOUNT_NOT_FOUND)
    proven = _check_bind_token(device, bind_token, account_id, now)
    if (
        device.last_report_ms > now + AHEAD_MS
    ):  # what is to be erased of the one before ends before this
        device.last_report_ms, device.family_since = bring_back(session, device.id, now)
    binding = session.get(Binding, device.id)
    if binding is not None:
        if binding.proven or not proven:
            raise AlreadyBoundError
        _prove(session, device, binding, account_id, now)
        return
    session.add(Binding(device_id=device.id, account_id=account_id, create_time=now, proven=proven))
    device.update_time = now


def _check_bind_token(device: Device, given: str, account_id: int, now: int) -> bool:
    """Return whether ``given`` is known to nobody but who has the machine; raises RefusedError 1228.

    A record without a token matches nothing: the device must report its token first.
    """
    if bind_tokens.same(device.next_bind_token, given):
        # Who knows it has read it from the machine, whose answer was lost.
        bind_tokens.confirm(device, given, now)
        return True
    if not bind_tokens.same(device.bind_token, given):
        raise RefusedError(ErrorCode.TOKEN_DOES_NOT_MATCH, device.uuid)
    if account_id in device.barred:
        raise RefusedError(ErrorCode.TOKEN_DOES_NOT_MATCH, f"{device.uuid}: {_LEFT}")
    return device.next_bind_token is None or not device.renews


_LEFT = "you have unbound it; switch it on and scan the code that it shows itself"


def _prove(session: Session, device: Device, binding: Binding, account_id: int, now: int) -> None:
    """Give a device to who has it in hand, in place of whoever had bound it with an old token."""
    if binding.account_id != account_id:
        family.leave_unproven(session, device, now)
        session.add(Binding(device_id=device.id, account_id=account_id, create_time=now))
    else:
        binding.proven = True


def rename(session: Session, device_id: int, name: str, now: int) -> None:
    """Set the name that its owner gave a device."""
    device = session.get_one(Device, device_id)
    device.name, device.update_time = name, now


def unbind(session: Session, device_id: int, now: int) -> str | None:
    """Unbind a device from its account: what is the family's is cut off (`staging.store.family`).

    Returns:
        The receipt of its erasure; None if nobody had the device.
    """
    order = family.leave(session, device_id, now)
    return None if order is None else order.receipt
