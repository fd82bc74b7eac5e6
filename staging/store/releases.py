"""Packages and the strategies that offer them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError, StagingError, UnfitVersionError
from staging.store.models import (
    DAMAGED,
    PUBLISHED,
    RELEASED,
    Batch,
    OsVersion,
    OtaTask,
    Package,
    Strategy,
)
from staging.store.order_rules import Status
from staging.store.products import default_product, os_version
from wire.ota import version_key

DAMAGED_TEXT = "its file is not the one that was signed: `story-cloud check` says what to do"


class StrategyType(StrEnum):
    """Who starts an update."""

    PASSIVE = "PASSIVE"
    """The user orders it."""
    SILENT = "SILENT"
    """The cloud orders it automatically."""


@dataclass(frozen=True, slots=True)
class Target:
    """A package from the release tool; ``path`` is below ``targets/``, ``size`` in bytes.

    ``sbom`` is the SHA-256 of the list of parts in it; None: it has none.
    """

    path: str
    size: int
    md5: str
    sha256: str
    sbom: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A package that a strategy offers to a device."""

    package: Package
    strategy: Strategy
    version: str


def check_new_version(
    session: Session, version: str, now: int, *, product_id: int | None = None
) -> None:
    """Check that a version is higher than every package of the product.

    Raises:
        FieldError: the version is not numbers joined by dots.
        UnfitVersionError: the product has a package of this or a higher version.
    """
    key = version_key(version)
    product_id = product_id or default_product(session, now).id
    if _package_of(session, version, product_id) is not None:
        raise UnfitVersionError(version, None)
    newest = max((v for _, v in packages(session, product_id)), key=version_key, default=None)
    if newest is not None and key <= version_key(newest):
        raise UnfitVersionError(version, newest)


def add_package(
    session: Session,
    version: str,
    target: Target,
    description: str,
    now: int,
    *,
    product_id: int | None = None,
    status: str = RELEASED,
) -> Package:
    """Add a package to a product, by default the default product.

    An ``UNVERIFIED`` package can only be ordered for verification (`ota.order_verification`) until
    `release` makes it ``RELEASED``.
    """
    product_id = product_id or default_product(session, now).id
    package = Package(
        product_id=product_id,
        os_version_id=os_version(session, product_id, version).id,
        path=target.path,
        size=target.size,
        md5=target.md5,
        sha256=target.sha256,
        sbom=target.sbom,
        description=description,
        status=status,
        create_time=now,
        update_time=now,
    )
    session.add(package)
    session.flush()
    return package


def release(session: Session, package_id: int, now: int) -> Package:
    """Release a verified package ("通过验证"): at least one device must have installed it.

    Raises:
        NotFoundError: there is no such package.
        StagingError: none of its verification orders ended in SUCCESS.
    """
    package = session.get(Package, package_id)
    if package is None:
        raise NotFoundError(f"package {package_id}: there is none")
    if package.status == RELEASED:
        return package
    if is_damaged(package):
        raise StagingError(f"package {package_id}: {DAMAGED_TEXT}")
    verified = select(OtaTask.id).where(
        OtaTask.package_id == package_id,
        OtaTask.strategy_id.is_(None),
        OtaTask.status == Status.SUCCESS.value,
    )
    if session.scalar(verified.limit(1)) is None:
        raise StagingError(f"package {package_id}: no device that verified it reports SUCCESS")
    package.status, package.update_time = RELEASED, now
    return package


def is_damaged(package: Package) -> bool:
    """Return whether a package's file was found to be another one than was signed."""
    return package.status.endswith(DAMAGED)


def damaged(session: Session) -> frozenset[int]:
    """Return the packages whose files are others than were signed."""
    return frozenset(
        session.scalars(select(Package.id).where(Package.status.endswith(DAMAGED, autoescape=True)))
    )


def note_damage(session: Session, package_id: int, damaged: bool) -> None:  # noqa: FBT001  # a fact to store
    """Note whether a package's file is the signed one: one that is not is neither offered nor ordered."""
    package = session.get(Package, package_id)
    if package is not None:
        package.status = package.status.removesuffix(DAMAGED) + (DAMAGED if damaged else "")


def package(session: Session, package_id: int) -> tuple[Package, str] | None:
    """Return a package with its version, or None if there is no such package."""
    row = session.execute(_PACKAGES.where(Package.id == package_id)).one_or_none()
    return None if row is None else (row[0], row[1])


def package_of(session: Session, product_id: int, version: str) -> Package:
    """Return a product's package of this version; raises NotFoundError."""
    found = _package_of(session, version, product_id)
    if found is None:
        raise NotFoundError(f"version {version}: there is no package")
    return found


_PACKAGES = select(Package, OsVersion.version).join(
    OsVersion, OsVersion.id == Package.os_version_id
)


def packages(session: Session, product_id: int | None = None) -> list[tuple[Package, str]]:
    """Return all packages, or those of a product, with their versions, oldest first."""
    statement = _PACKAGES.order_by(Package.id)
    if product_id is not None:
        statement = statement.where(Package.product_id == product_id)
    return [(package, version) for package, version in session.execute(statement)]


def add_strategy(
    session: Session,
    version: str,
    kind: StrategyType,
    from_versions: Sequence[str],
    batches: Sequence[str],
    now: int,
    *,
    product_id: int | None = None,
    forced: bool = False,
) -> Strategy:
    """Create a draft strategy for a version; it has no effect until it is published.

    ``forced``: devices restart into it at once, even during a story or outside their window.

    Raises:
        NotFoundError: no package has this version, or the product has no batch of this name.
        StagingError: the package is not verified.
        FieldError: a version is not numbers joined by dots.
    """
    for old in from_versions:
        version_key(old, field="from")
    product_id = product_id or default_product(session, now).id
    package = package_of(session, product_id, version)
    if is_damaged(package):
        raise StagingError(f"version {version}: {DAMAGED_TEXT}")
    if package.status != RELEASED:
        raise StagingError(f"version {version}: it is {package.status}, expected a verified one")
    _check_batches(session, product_id, batches)
    strategy = Strategy(
        package_id=package.id,
        type=kind.value,
        from_versions=list(from_versions),
        batches=list(batches),
        forced=forced,
        create_time=now,
    )
    session.add(strategy)
    session.flush()
    return strategy


def strategies(session: Session) -> list[tuple[Strategy, str]]:
    """Return every strategy with the version it offers, oldest first."""
    statement = (
        select(Strategy, OsVersion.version)
        .join(Package, Package.id == Strategy.package_id)
        .join(OsVersion, OsVersion.id == Package.os_version_id)
        .order_by(Strategy.id)
    )
    return [(strategy, version) for strategy, version in session.execute(statement)]


_PUBLISHED = (  # made once: it is asked for each device that registers
    select(Package, Strategy, OsVersion.version)
    .join(Strategy, Strategy.package_id == Package.id)
    .join(OsVersion, OsVersion.id == Package.os_version_id)
    .where(
        Package.product_id == bindparam("product"),
        Package.status == RELEASED,
        Strategy.status == PUBLISHED,
    )
)


def offers(session: Session, product_id: int, version: str, batch: str) -> list[Offer]:
    """Return the offers of published strategies to a device, best first.

    The best is the highest version; among strategies for the same version, the latest.
    """
    found = [Offer(*row) for row in session.execute(_PUBLISHED, {"product": product_id})]
    applicable = [offer for offer in found if applies(offer, version, batch)]
    return sorted(applicable, key=lambda o: (version_key(o.version), o.strategy.id), reverse=True)


def applies(offer: Offer, version: str, batch: str) -> bool:
    """Return whether an offer applies to a version and batch; empty lists do not restrict."""
    running, strategy = version_key(version), offer.strategy
    return (
        version_key(offer.version) > running
        and (not strategy.from_versions or running in map(version_key, strategy.from_versions))
        and (not strategy.batches or batch in strategy.batches)
    )


def _check_batches(session: Session, product_id: int, names: Sequence[str]) -> None:
    known = set(session.scalars(select(Batch.name).where(Batch.product_id == product_id)))
    for name in names:
        if name not in known:
            raise NotFoundError(f"batch {name}: the product has none")


def _package_of(session: Session, version: str, product_id: int) -> Package | None:
    return session.scalar(
        select(Package)
        .join(OsVersion, OsVersion.id == Package.os_version_id)
        .where(Package.product_id == product_id, OsVersion.version == version)
    )
