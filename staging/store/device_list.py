"""One page of the list of devices: what an address asks for (`device_query`), asked of the store.

First the numbers of the page's devices, which an index of SQLite alone gives (`ix_devices_list`), then their rows. Which
devices are connected is memory of the gateway's: their numbers go into the statement. What a family named or reported
decides nothing for anybody else, neither by a search nor by the order: no answer tells of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Session, aliased

from staging.identity.rights import IN_DEVELOPMENT, Role, Standing, Viewer
from staging.store.device_query import Presence, Sort, Updating, Wanted
from staging.store.engine import SQLITE
from staging.store.fleet_models import DeviceTag, Tag
from staging.store.models import (
    UNACTIVATED,
    Batch,
    Binding,
    Device,
    OsVersion,
    OtaTask,
    Product,
)
from staging.store.order_rules import ACTIVE, Status
from wire.text import fold, spellings

_ACTIVE = [status.value for status in ACTIVE]


@dataclass(frozen=True, slots=True)
class Found:
    """One page: the numbers of its devices in their order, and how many there are on all pages."""

    ids: list[int]
    total: int


def page(
    session: Session, wanted: Wanted, viewer: Viewer | None = None, online: Collection[int] = ()
) -> Found:
    """Return a page of devices.

    Args:
        session: the transaction.
        wanted: which devices.
        viewer: only devices in this account's list; None: all, with the names that their owners gave.
        online: the numbers of the devices that are connected.
    """
    asked = _Asked(session, wanted, viewer, online)
    first = (wanted.page - 1) * wanted.size
    if first == 0 and wanted.sort is Sort.PRESENCE:
        found = asked.first_by_presence()
    else:
        found = list(session.scalars(asked.ids().limit(wanted.size).offset(first)))
    # A page that is not full says itself how many there are.
    known = first + len(found) if 0 < len(found) < wanted.size else None
    return Found(found, asked.total() if known is None else known)


def total(
    session: Session, wanted: Wanted, viewer: Viewer | None = None, online: Collection[int] = ()
) -> int:
    """Return how many devices there are on all pages."""
    return _Asked(session, wanted, viewer, online).total()


def numbers(
    session: Session,
    wanted: Wanted,
    viewer: Viewer | None = None,
    online: Collection[int] = (),
    *,
    limit: int,
) -> list[int]:
    """Return the numbers of the devices of all pages in their order, at most ``limit``."""
    return list(session.scalars(_Asked(session, wanted, viewer, online).ids().limit(limit)))


def seen(session: Session, ids: Collection[int], viewer: Viewer) -> set[int]:
    """Return those of the devices that are in the viewer's list."""
    mine = _mine(viewer)
    wanted = select(Device.id).where(Device.id.in_(ids), _visible(viewer, mine))
    return set(session.scalars(wanted))


def among(session: Session, ids: Iterable[int]) -> Select[Any]:
    """Return a statement for given numbers: one parameter, however many they are."""
    text = json.dumps(list(ids))
    if session.get_bind().dialect.name == SQLITE:
        return select(func.json_each(text).table_valued("value").c.value)
    each = func.json_array_elements_text(cast(literal(text), JSON)).table_valued("value")
    return select(cast(each.c.value, BigInteger))


def _mine(viewer: Viewer | None) -> ColumnElement[bool]:
    if viewer is None:
        return true()
    bound = select(Binding.device_id).where(Binding.account_id == viewer.account_id)
    return Device.id.in_(bound)


def _visible(viewer: Viewer | None, mine: ColumnElement[bool]) -> ColumnElement[bool]:
    if viewer is None or viewer.role is Role.OPERATOR:
        return true()
    return or_(mine, Device.version == IN_DEVELOPMENT)


def _like(column: Any, text: str) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = column.icontains(text, autoescape=True)
    return condition


@dataclass(frozen=True)
class _Asked:
    """One question of the store."""

    session: Session
    wanted: Wanted
    viewer: Viewer | None
    online: Collection[int] = field(repr=False)

    def ids(self) -> Select[int]:
        """Return the statement for the numbers of the devices, in their order."""
        statement = select(Device.id)
        for table, condition in self._joins():
            statement = statement.join(table, condition)
        statement = statement.where(*self._conditions)
        down = self.wanted.descending
        # Two devices of the same place have an order too, or a page would repeat what another showed.
        key, last = self._key(), Device.id
        return statement.order_by(
            key.desc() if down else key.asc(), last.desc() if down else last.asc()
        )

    def first_by_presence(self) -> list[int]:
        """Return the first page of what `ids` gives in the order of presence, and sort no more than that page.

        It is what the list opens with. The devices of each presence are in the order of their numbers, which an index
        has; PostgreSQL reads and sorts all devices otherwise.
        """
        found: list[int] = []
        ranks = [Presence.NEVER, Presence.OFFLINE, Presence.ONLINE]
        down = self.wanted.descending
        last = Device.id.desc() if down else Device.id.asc()
        for presence in reversed(ranks) if down else ranks:
            left = self.wanted.size - len(found)
            if left and (presence is not Presence.ONLINE or self.online):
                statement = select(Device.id).where(*self._conditions, self._presence(presence))
                found += self.session.scalars(statement.order_by(last).limit(left))
        return found

    def total(self) -> int:
        """Return how many devices fit."""
        counted = select(func.count()).select_from(Device).where(*self._conditions)
        return self.session.scalar(counted) or 0

    @cached_property
    def _mine(self) -> ColumnElement[bool]:
        return _mine(self.viewer)

    @cached_property
    def _is_online(self) -> ColumnElement[bool]:
        return Device.id.in_(among(self.session, self.online)) if self.online else false()

    @cached_property
    def _conditions(self) -> list[ColumnElement[bool]]:
        wanted = self.wanted
        found = [_visible(self.viewer, self._mine)]
        found += [self._has(word) for word in wanted.words]
        found += [self._has_tag(tag) for tag in wanted.tag]
        several: list[list[ColumnElement[bool]]] = [
            [self._presence(each) for each in wanted.presence],
            [self._standing(each) for each in wanted.owner],
            [self._updating(each) for each in wanted.update],
        ]
        found += [or_(*conditions) for conditions in several if conditions]
        for names, column, key, table in (
            (wanted.product, Product.name, Device.product_id, Product.id),
            (wanted.batch, Batch.name, Device.batch_id, Batch.id),
            (wanted.version, OsVersion.version, Device.os_version_id, OsVersion.id),
        ):
            if names:
                found.append(key.in_(select(table).where(column.in_(names))))
        return found

    def _has(self, word: str) -> ColumnElement[bool]:
        """Return the condition that a word is in something of a device that the viewer may see."""
        tagged = select(DeviceTag.device_id).join(Tag, Tag.id == DeviceTag.tag_id)
        named = or_(*(_like(Device.name, form) for form in spellings(word)))
        return or_(
            _like(Device.uuid, word),
            # A family's name for its device is not to be guessed by searching for it.
            and_(self._mine, named),
            Device.product_id.in_(select(Product.id).where(_like(Product.name, word))),
            Device.batch_id.in_(select(Batch.id).where(_like(Batch.name, word))),
            Device.os_version_id.in_(select(OsVersion.id).where(_like(OsVersion.version, word))),
            Device.id.in_(tagged.where(_like(Tag.folded, fold(word)))),
        )

    def _has_tag(self, tag: str) -> ColumnElement[bool]:
        tagged = select(DeviceTag.device_id).join(Tag, Tag.id == DeviceTag.tag_id)
        return Device.id.in_(tagged.where(Tag.folded == fold(tag)))

    def _presence(self, presence: Presence) -> ColumnElement[bool]:
        if presence is Presence.ONLINE:
            return self._is_online
        never = Device.status == UNACTIVATED
        return and_(not_(self._is_online), never if presence is Presence.NEVER else not_(never))

    def _standing(self, standing: Standing) -> ColumnElement[bool]:
        mine = self._mine if self.viewer is not None else false()
        bound = _bound()
        developed = Device.version == IN_DEVELOPMENT
        match standing:
            case Standing.OWN:
                return mine
            case Standing.DEVELOPMENT:
                return and_(developed, not_(mine))
            case Standing.FREE:
                return and_(not_(developed), not_(bound))
            case Standing.FAMILY:
                return and_(not_(developed), bound, not_(mine))

    def _updating(self, updating: Updating) -> ColumnElement[bool]:
        match updating:
            case Updating.RUNNING:
                return Device.id.in_(select(OtaTask.device_id).where(OtaTask.status.in_(_ACTIVE)))
            case Updating.NONE:
                return Device.id.not_in(_with_update())
            case Updating.FAILED:
                return Device.id.in_(_last_ended(Status.FAILED))
            case Updating.SUCCESS:
                return Device.id.in_(_last_ended(Status.SUCCESS))

    def _joins(self) -> list[tuple[Any, ColumnElement[bool]]]:
        match self.wanted.sort:
            case Sort.VERSION:
                return [(OsVersion, OsVersion.id == Device.os_version_id)]
            case Sort.PRODUCT:
                return [(Product, Product.id == Device.product_id)]
            case Sort.BATCH:
                return [(Batch, Batch.id == Device.batch_id)]
            case _:
                return []

    def _key(self) -> ColumnElement[Any]:
        """Return what the devices are sorted by; what the viewer may not see sorts as nothing."""
        makes: dict[Sort, Callable[[], Any]] = {
            Sort.DEVICE: self._name,
            Sort.PRESENCE: self._rank,
            Sort.VERSION: lambda: OsVersion.place,
            Sort.BATTERY: lambda: self._shown(Device.battery),
            Sort.VOLUME: lambda: self._shown(Device.volume),
            Sort.HEARTBEAT: lambda: func.coalesce(Device.last_heartbeat_time, 0),
            Sort.OWNER: self._owner,
            Sort.PRODUCT: lambda: func.lower(Product.name),
            Sort.BATCH: lambda: func.lower(Batch.name),
            Sort.TAGS: lambda: func.coalesce(_first_tag(), ""),
            Sort.UPDATE: lambda: func.coalesce(_last_update(), 0),
            Sort.ADDED: lambda: Device.create_time,
        }
        key: ColumnElement[Any] = makes[self.wanted.sort]()
        return key

    def _name(self) -> ColumnElement[Any]:
        return case(
            (and_(self._mine, Device.name != ""), func.lower(Device.name)), else_=Device.uuid
        )

    def _rank(self) -> ColumnElement[Any]:
        return case((self._is_online, 2), (Device.status == UNACTIVATED, 0), else_=1)

    def _owner(self) -> ColumnElement[Any]:
        ranks = enumerate((Standing.FREE, Standing.FAMILY, Standing.DEVELOPMENT))
        return case(*((self._standing(each), rank) for rank, each in ranks), else_=3)

    def _shown(self, column: Any) -> ColumnElement[Any]:
        """Return a value of a device's, as a number below all where the viewer does not see it or it has none."""
        if self.viewer is None:
            return func.coalesce(column, -1)
        return case((or_(self._mine, not_(_bound())), func.coalesce(column, -1)), else_=-1)


def _bound() -> ColumnElement[bool]:
    # Not by IN: SQLite would begin with the bindings, and read each device's row for its other columns.
    return (
        select(Binding.device_id).where(Binding.device_id == Device.id).correlate(Device).exists()
    )


def _last_ended(status: Status) -> Select[int]:
    """Return a statement for the devices whose latest update, which their families may see, ended so."""
    later = aliased(OtaTask)
    owner = aliased(Device)
    is_last = (
        ~select(later.id)
        .where(later.device_id == OtaTask.device_id, later.id > OtaTask.id)
        .exists()
    )
    return (
        select(OtaTask.device_id)
        .join(owner, owner.id == OtaTask.device_id)
        .where(OtaTask.status == status.value, OtaTask.update_time > owner.family_since, is_last)
    )


def _with_update() -> Select[int]:
    """Return a statement for the devices that have had an update which their families may see."""
    owner = aliased(Device)
    shown = or_(OtaTask.update_time > owner.family_since, OtaTask.status.in_(_ACTIVE))
    return select(OtaTask.device_id).join(owner, owner.id == OtaTask.device_id).where(shown)


def _first_tag() -> Any:
    return (
        select(func.min(Tag.folded))
        .join(DeviceTag, DeviceTag.tag_id == Tag.id)
        .where(DeviceTag.device_id == Device.id)
        .correlate(Device)
        .scalar_subquery()
    )


def _last_update() -> Any:
    shown = or_(OtaTask.update_time > Device.family_since, OtaTask.status.in_(_ACTIVE))
    return (
        select(func.max(OtaTask.update_time))
        .where(OtaTask.device_id == Device.id, shown)
        .correlate(Device)
        .scalar_subquery()
    )
