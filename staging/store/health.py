"""How devices do, by version and batch: counted in parts of five minutes, summed up when asked.

What is counted comes from the devices' own links and reports (`staging.fleet_watch`), a minute at the latest after it
was. Rollouts open their next phase by `of_version`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from staging.store.device_list import among
from staging.store.fleet_models import FleetSample, HealthPart
from staging.store.models import Batch, Device, OsVersion, OtaTask, Package, Product
from staging.store.order_rules import ACTIVE, Status

PART_MS = 300_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
# A device that was not heard for so long is in a drawer: nobody expects it.
EXPECTED_MS = DAY_MS
KEPT_MS = 40 * DAY_MS
SAMPLES_KEPT_MS = 14 * DAY_MS


@dataclass(slots=True)
class Counts:
    """What is counted; times in ms. The columns of `HealthPart` have the same names."""

    connected: int = 0
    expected: int = 0
    starts: int = 0
    crashes: int = 0
    plays: int = 0
    failed_plays: int = 0
    presses: int = 0
    press_time: int = 0
    update_bytes: int = 0
    listened: int = 0
    """Times that a machine was spoken to, or failed before."""
    mic_faults: int = 0
    unsent: int = 0
    """Of which nothing reached the cloud."""
    sentences: int = 0
    """What the cloud recognised, or did not."""
    not_understood: int = 0

    def add(self, other: Counts) -> None:
        """Add another's counts to these."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))


COUNTED = tuple(field.name for field in fields(Counts))


@dataclass(frozen=True, slots=True)
class Health:
    """How a version's devices did since some time; a figure is None where nothing is known.

    Attributes:
        devices: how many run it now.
        counts: what was counted.
        succeeded: updates to it that succeeded.
        failed: updates to it that failed.
    """

    devices: int
    counts: Counts
    succeeded: int
    failed: int

    @property
    def hours(self) -> float:
        """The hours that its devices were connected, together."""
        return self.counts.connected / HOUR_MS

    @property
    def crash_free_hours(self) -> float | None:
        """Connected hours for each crash; without a crash all of them. None: no device was connected."""
        return self.hours / max(1, self.counts.crashes) if self.counts.connected else None

    @property
    def success_rate(self) -> float | None:
        """The share of the updates that have ended which succeeded."""
        ended = self.succeeded + self.failed
        return self.succeeded / ended if ended else None

    @property
    def link_up(self) -> float | None:
        """The share of the time in which its devices were connected."""
        expected = self.counts.expected
        return min(1.0, self.counts.connected / expected) if expected else None

    @property
    def sound_heard(self) -> float | None:
        """The share of the plays that sounded."""
        tried = self.counts.plays + self.counts.failed_plays
        return self.counts.plays / tried if tried else None

    @property
    def listens_badly(self) -> float:
        """The share of what went wrong with listening: at the microphone, on the way, and in understanding; 0 to 2."""
        counts = self.counts
        machine = (counts.mic_faults + counts.unsent) / max(1, counts.listened)
        return machine + counts.not_understood / max(1, counts.sentences)

    @property
    def press_seconds(self) -> float | None:
        """The mean time from the press of the button until the machine had its answer."""
        return self.counts.press_time / self.counts.presses / 1000 if self.counts.presses else None


def of_version(session: Session, product_id: int, version: str, since: int) -> Health:
    """Return how a product's devices of a version did since ``since`` (ms; whole parts of five minutes)."""
    number = select(OsVersion.id).where(
        OsVersion.product_id == product_id, OsVersion.version == version
    )
    version_id = session.scalar(number)
    if version_id is None:
        return Health(0, Counts(), 0, 0)
    found = _by(session, since, HealthPart.os_version_id, version_id)
    ended = _ended(session, since, version_id)
    running = select(func.count()).select_from(Device).where(Device.os_version_id == version_id)
    return Health(
        session.scalar(running) or 0, found.get(version_id, Counts()),
        *ended.get(version_id, (0, 0)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Named:
    """The health of a version or a batch, with the names that it has."""

    product: str
    name: str
    health: Health


def by_version(session: Session, since: int) -> list[Named]:
    """Return the versions that devices run or were updated to since ``since``, newest first within each product."""
    found = _by(session, since, HealthPart.os_version_id)
    ended = _ended(session, since)
    running = _running(session, Device.os_version_id)
    named = (
        select(OsVersion.id, OsVersion.version, Product.name)
        .join(Product, Product.id == OsVersion.product_id)
        .order_by(Product.name, OsVersion.place.desc(), OsVersion.id)
    )
    return [
        Named(
            product, name, Health(running.get(n, 0), found.get(n, Counts()), *ended.get(n, (0, 0)))
        )
        for n, name, product in session.execute(named)
        if n in running or n in found or n in ended
    ]


def by_batch(session: Session, since: int) -> list[Named]:
    """Return the batches that have devices, by product and name; updates are counted by version alone."""
    found = _by(session, since, HealthPart.batch_id)
    running = _running(session, Device.batch_id)
    named = (
        select(Batch.id, Batch.name, Product.name)
        .join(Product, Product.id == Batch.product_id)
        .order_by(Product.name, Batch.name)
    )
    return [
        Named(product, name, Health(running.get(n, 0), found.get(n, Counts()), 0, 0))
        for n, name, product in session.execute(named)
        if n in running or n in found
    ]


def _running(session: Session, column: object) -> Mapping[int, int]:
    counted = select(column, func.count()).select_from(Device).group_by(column)  # type: ignore[call-overload]  # a column
    return {int(number): int(count) for number, count in session.execute(counted)}


def _by(session: Session, since: int, column: object, only: int | None = None) -> dict[int, Counts]:
    """Return the sums for each value of a column."""
    sums = [func.sum(getattr(HealthPart, name)) for name in COUNTED]
    start = since - since % PART_MS
    wanted = select(column, *sums).where(HealthPart.start >= start).group_by(column)  # type: ignore[call-overload]  # a column
    if only is not None:
        wanted = wanted.where(column == only)
    return {int(row[0]): Counts(*map(int, row[1:])) for row in session.execute(wanted)}


def _ended(session: Session, since: int, only: int | None = None) -> dict[int, tuple[int, int]]:
    """Return how many updates to each version succeeded and failed."""
    states = (Status.SUCCESS.value, Status.FAILED.value)
    wanted = (
        select(Package.os_version_id, OtaTask.status, func.count())
        .join(Package, Package.id == OtaTask.package_id)
        .where(OtaTask.status.in_(states), OtaTask.update_time >= since, OtaTask.cancel == "")
        .group_by(Package.os_version_id, OtaTask.status)
    )
    if only is not None:
        wanted = wanted.where(Package.os_version_id == only)
    found: dict[int, tuple[int, int]] = {}
    for version_id, status, count in session.execute(wanted):
        good, bad = found.get(version_id, (0, 0))
        found[version_id] = (good + count, bad) if status == states[0] else (good, bad + count)
    return found


def note(session: Session, counted: Mapping[str, Counts], now: int) -> None:
    """Add what was counted of devices, by their uuids; ``update_bytes`` of those are downloads still."""
    sizes = _sizes(session, [uuid for uuid, counts in counted.items() if counts.update_bytes])
    counted = {
        uuid: replace(counts, update_bytes=counts.update_bytes * sizes.get(uuid, 0))
        for uuid, counts in counted.items()
    }
    places = select(Device.uuid, Device.os_version_id, Device.batch_id).where(
        Device.uuid.in_(counted)
    )
    parts: dict[tuple[int, int], Counts] = {}
    for uuid, version_id, batch_id in session.execute(places):
        parts.setdefault((version_id, batch_id), Counts()).add(counted[uuid])
    _add(session, parts, now)


def _sizes(session: Session, uuids: Sequence[str]) -> dict[str, int]:
    """Return the size of the package that each device was updated to last, in bytes."""
    last = (
        select(func.max(OtaTask.id))
        .join(Device, Device.id == OtaTask.device_id)
        .where(Device.uuid.in_(uuids))
        .group_by(OtaTask.device_id)
    )
    sized = (
        select(Device.uuid, Package.size)
        .join(OtaTask, OtaTask.device_id == Device.id)
        .join(Package, Package.id == OtaTask.package_id)
        .where(OtaTask.id.in_(last))
    )
    return {uuid: size for uuid, size in session.execute(sized)}  # noqa: C416  # rows are no pairs to a type checker


def sample(session: Session, online: Sequence[int], lasted: int, now: int) -> None:
    """Note what the fleet is like: once a minute, by one process.

    Args:
        session: the transaction.
        online: the numbers of the connected devices.
        lasted: how long it was so, ms.
        now: the time, ms.
    """
    heard = Device.last_heartbeat_time >= now - EXPECTED_MS
    parts: dict[tuple[int, int], Counts] = {}
    connected = _places(session, Device.id.in_(among(session, online))) if online else []
    for version_id, batch_id, count in connected:
        parts.setdefault((version_id, batch_id), Counts()).connected += count * lasted
    for version_id, batch_id, count in _places(session, heard):
        parts.setdefault((version_id, batch_id), Counts()).expected += count * lasted
    for counts in parts.values():
        counts.expected = max(counts.expected, counts.connected)
    _add(session, parts, now)
    session.merge(
        FleetSample(
            ts=now,
            devices=session.scalar(select(func.count()).select_from(Device)) or 0,
            online=sum(count for _, _, count in connected),
            updating=updating(session),
        )
    )


def updating(session: Session) -> int:
    """Return how many devices are being updated."""
    active = OtaTask.status.in_([status.value for status in ACTIVE])
    return session.scalar(select(func.count()).select_from(OtaTask).where(active)) or 0


def _places(session: Session, condition: object) -> list[tuple[int, int, int]]:
    counted = (
        select(Device.os_version_id, Device.batch_id, func.count())
        .where(condition)  # type: ignore[arg-type]  # a condition of SQLAlchemy's
        .group_by(Device.os_version_id, Device.batch_id)
    )
    return [
        (version_id, batch_id, count) for version_id, batch_id, count in session.execute(counted)
    ]


def _add(session: Session, parts: Mapping[tuple[int, int], Counts], now: int) -> None:
    start = now - now % PART_MS
    for (version_id, batch_id), counts in parts.items():
        row = session.get(HealthPart, (start, version_id, batch_id), populate_existing=True)
        if row is None:
            row = HealthPart(start=start, os_version_id=version_id, batch_id=batch_id)
            for name in COUNTED:
                setattr(row, name, 0)
            session.add(row)
        for name in COUNTED:
            setattr(row, name, getattr(row, name) + getattr(counts, name))
    session.flush()


def samples(session: Session, since: int, points: int) -> list[FleetSample]:
    """Return the samples since ``since`` (ms), oldest first, at most about ``points`` of them."""
    wanted = select(FleetSample).where(FleetSample.ts >= since).order_by(FleetSample.ts)
    found: Iterable[FleetSample] = session.scalars(wanted)
    every = list(found)
    step = max(1, len(every) // points)
    return [one for place, one in enumerate(reversed(every)) if place % step == 0][::-1]


def forget_old(session: Session, now: int) -> None:
    """Delete what is older than it is shown."""
    session.execute(delete(HealthPart).where(HealthPart.start < now - KEPT_MS))
    session.execute(delete(FleetSample).where(FleetSample.ts < now - SAMPLES_KEPT_MS))
