"""Lists of parts (SBOM), and which devices run a part: what they reported, joined with the lists.

A release may bring its libraries or take those of the base install, so a device's parts are in up to
two lists. `parts_of` decides; the rest reads the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError
from staging.store.models import Device, OsVersion, Package, Sbom, SbomPart

# Hex digits by which an operator may name a list.
PREFIX_MIN = 6


class Basis(StrEnum):
    """How the cloud knows that a device runs a part."""

    REPORTED = "reported"
    """The device reported the list that has it."""
    ASSUMED = "assumed"
    """Its version has it, or was built against it; the base install may have another."""


@dataclass(frozen=True, slots=True)
class Lists:
    """The digests of one device's lists; None: it reported none, or its version has none.

    Attributes:
        own: of the running release, as reported.
        base: of its base install, as reported.
        by_version: of the package of the running version.
    """

    own: str | None
    base: str | None
    by_version: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """One version of the wanted part in one list."""

    version: str
    bundled: bool


@dataclass(frozen=True, slots=True)
class Match:
    """A device that runs the part; ``running`` is its release, ``version`` the part's."""

    uuid: str
    running: str
    version: str
    basis: Basis


@dataclass(frozen=True, slots=True)
class Answer:
    """Which devices run a part, and of how many that is not known."""

    matches: Sequence[Match]
    devices: int
    unknown: int
    """Devices whose lists the cloud does not have."""
    missing: Sequence[str]
    """Digests that devices reported and the cloud does not have."""


def parts_of(
    lists: Lists, known: Mapping[str, Sequence[Found]]
) -> tuple[Basis, frozenset[str]] | None:
    """Return which versions of a part a device with these lists runs; None: that is not known.

    Args:
        lists: the device's.
        known: for each list that the cloud has, the wanted part's versions in it.
    """
    own = lists.own or lists.by_version
    basis = Basis.REPORTED if lists.own else Basis.ASSUMED
    if own is None or own not in known:
        return None
    bundled = frozenset(it.version for it in known[own] if it.bundled)
    if bundled:  # it comes before the base install's on the import path
        return basis, bundled
    if lists.base is not None:
        if lists.base not in known:
            return None
        return basis, frozenset(it.version for it in known[lists.base] if it.bundled)
    built_against = frozenset(it.version for it in known[own])
    return (Basis.ASSUMED if built_against else basis), built_against


def devices_with(session: Session, name: str, version: str | None) -> Answer:
    """Return the devices that run the part ``name``, of one version or (None) of any.

    Args:
        session: the store's.
        name: as the package index compares names.
        version: as it is written in the lists.
    """
    known = _known(session, name)
    matches: list[Match] = []
    missing: Counter[str] = Counter()
    total = unknown = 0
    decided: dict[Lists, tuple[Basis, frozenset[str]] | None] = {}
    for uuid, running, own, base, by_version in session.execute(_DEVICES):
        lists = Lists(own, base, by_version)
        total += 1
        if lists not in decided:
            decided[lists] = parts_of(lists, known)
        found = decided[lists]
        if found is None:
            unknown += 1
            missing.update(it for it in (own, base) if it is not None and it not in known)
            continue
        wanted = sorted(it for it in found[1] if version in {None, it})
        matches += [Match(uuid, running, it, found[0]) for it in wanted]
    return Answer(matches, total, unknown, [digest for digest, _ in missing.most_common()])


_DEVICES = (
    select(Device.uuid, OsVersion.version, Device.sbom, Device.base_sbom, Package.sbom)
    .join(OsVersion, OsVersion.id == Device.os_version_id)
    .outerjoin(Package, Package.os_version_id == Device.os_version_id)
    .order_by(Device.uuid)
)


def _known(session: Session, name: str) -> dict[str, list[Found]]:
    """Return the versions of a part in each list that the store has."""
    known: dict[str, list[Found]] = {digest: [] for digest in session.scalars(select(Sbom.sha256))}
    statement = (
        select(Sbom.sha256, SbomPart.version, SbomPart.bundled)
        .join(SbomPart, SbomPart.sbom_id == Sbom.id)
        .where(SbomPart.name == name)
    )
    for digest, version, bundled in session.execute(statement):
        known[digest].append(Found(version, bundled))
    return known


def add(
    session: Session,
    sha256: str,
    *,
    name: str,
    version: str,
    document: str,
    parts: Iterable[tuple[str, str, bool]],
    now: int,
) -> bool:
    """Keep a list of parts (name, version, bundled); return False if it is there already."""
    if session.scalar(select(Sbom.id).where(Sbom.sha256 == sha256)) is not None:
        return False
    sbom = Sbom(sha256=sha256, name=name, version=version, document=document, create_time=now)
    session.add(sbom)
    session.flush()
    bundled: dict[tuple[str, str], bool] = {}
    for part, number, is_bundled in parts:
        bundled[part, number] = is_bundled or bundled.get((part, number), False)
    rows = [
        {"sbom_id": sbom.id, "name": part, "version": number, "bundled": is_bundled}
        for (part, number), is_bundled in bundled.items()
    ]
    session.execute(insert(SbomPart), rows)
    return True


def every(session: Session) -> list[tuple[Sbom, int, int]]:
    """Return each list with how many parts it has and how many devices reported it, oldest first."""
    rows = session.execute(select(SbomPart.sbom_id, func.count()).group_by(SbomPart.sbom_id))
    counts = {sbom_id: count for sbom_id, count in rows}  # noqa: C416  # rows are no pairs to mypy
    devices: Counter[str] = Counter()
    for column in (Device.sbom, Device.base_sbom):
        for digest, count in session.execute(select(column, func.count()).group_by(column)):
            devices[digest or ""] += count
    every_list = session.scalars(select(Sbom).order_by(Sbom.id))
    return [(sbom, counts.get(sbom.id, 0), devices[sbom.sha256]) for sbom in every_list]


def named(session: Session, digest: str) -> Sbom:
    """Return the list with this digest, or the only one that begins so; raises NotFoundError."""
    digest = digest.lower()
    is_hex = len(digest) >= PREFIX_MIN and not set(digest) - set("0123456789abcdef")
    like = Sbom.sha256.startswith(digest) if is_hex else Sbom.sha256 == digest
    found = session.scalars(select(Sbom).where(like).limit(2)).all()
    if len(found) != 1:
        why = "more than one begins so" if found else "there is none"
        raise NotFoundError(f"SBOM {digest}: {why}; story-cloud sbom list shows all")
    return found[0]


def similar(session: Session, name: str) -> list[str]:
    """Return a few parts with ``name`` in their names, for an operator who does not know it whole."""
    like = SbomPart.name.contains(name, autoescape=True)
    statement = select(SbomPart.name).distinct().where(like).order_by(SbomPart.name).limit(10)
    return list(session.scalars(statement))
