"""Tags: words that operators and testers put on devices, to find and to handle many of them together.

Two spellings that a person would call the same are one tag (`wire.text.fold`). A tag is there as long as a device
has it. Tags are the staff's, not a family's: they stay when a device changes hands, and no family sees them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from staging.errors import StagingError
from staging.store.device_query import parse_tag
from staging.store.fleet_models import DeviceTag, Tag
from wire.text import fold

# Of one device: more than a list shows.
OF_DEVICE_LIMIT = 20
# Of all devices: more than a list to choose from shows.
TAGS_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Counted:
    """A tag, and how many devices have it."""

    name: str
    devices: int


def listing(session: Session) -> list[Counted]:
    """Return all tags, by name."""
    counted = (
        select(Tag.name, func.count())
        .join(DeviceTag, DeviceTag.tag_id == Tag.id)
        .group_by(Tag.id, Tag.name, Tag.folded)
        .order_by(Tag.folded)
    )
    return [Counted(name, devices) for name, devices in session.execute(counted)]


def of(session: Session, device_ids: Sequence[int]) -> Mapping[int, tuple[str, ...]]:
    """Return the tags of those of the devices that have some, each by name."""
    found: dict[int, tuple[str, ...]] = {}
    named = (
        select(DeviceTag.device_id, Tag.name)
        .join(Tag, Tag.id == DeviceTag.tag_id)
        .where(DeviceTag.device_id.in_(device_ids))
        .order_by(Tag.folded)
    )
    for device_id, name in session.execute(named):
        found[device_id] = (*found.get(device_id, ()), name)
    return found


def change(
    session: Session, device_id: int, add: Iterable[str] = (), remove: Iterable[str] = ()
) -> tuple[str, ...]:
    """Put tags on a device and take others away; return those that it has then.

    What it has already, or has not, is no error: the same change can be made again.

    Raises:
        FieldError: a text is no tag.
        StagingError: the device, or the store, would have too many.
    """
    gone = [fold(parse_tag(tag)) for tag in remove]
    wanted = {fold(tag): tag for tag in map(parse_tag, add)}
    if both := sorted(set(wanted) & set(gone)):
        raise StagingError(
            f"tag {wanted[both[0]]}: it is to be added and removed, expected one of both"
        )
    _take(session, device_id, gone)
    has = set(session.scalars(select(DeviceTag.tag_id).where(DeviceTag.device_id == device_id)))
    for folded, name in wanted.items():
        number = _number(session, folded, name)
        if number not in has:
            session.add(DeviceTag(device_id=device_id, tag_id=number))
            has.add(number)
    if len(has) > OF_DEVICE_LIMIT:
        raise StagingError(
            f"tags: the device would have {len(has)}, expected at most {OF_DEVICE_LIMIT}"
        )
    session.flush()
    return of(session, [device_id]).get(device_id, ())


def _take(session: Session, device_id: int, gone: Sequence[str]) -> None:
    if not gone:
        return
    numbers = session.scalars(select(Tag.id).where(Tag.folded.in_(gone))).all()
    of_device = DeviceTag.device_id == device_id
    session.execute(delete(DeviceTag).where(of_device, DeviceTag.tag_id.in_(numbers)))
    used = select(DeviceTag.tag_id).where(DeviceTag.tag_id.in_(numbers))
    session.execute(delete(Tag).where(Tag.id.in_(numbers), Tag.id.not_in(used)))


def _number(session: Session, folded: str, name: str) -> int:
    known = session.scalar(select(Tag.id).where(Tag.folded == folded))
    if known is not None:
        return known
    if (session.scalar(select(func.count()).select_from(Tag)) or 0) >= TAGS_LIMIT:
        raise StagingError(
            f"tag {name}: there are {TAGS_LIMIT} tags already; take one from its devices first"
        )
    tag = Tag(name=name, folded=folded)
    session.add(tag)
    session.flush()
    return tag.id
