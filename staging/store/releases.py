"""Packages and the strategies that offer them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError, StagingError
from staging.store.models import PUBLISHED, OsVersion, Package, Strategy
from staging.store.products import default_product, os_version
from wire.ota import version_key


class StrategyType(StrEnum):
    """Who decides that an update starts."""

    PASSIVE = "PASSIVE"
    """The user orders it."""
    SILENT = "SILENT"
    """The cloud may order it by itself."""


@dataclass(frozen=True, slots=True)
class Target:
    """A package as the release tool added it; ``path`` is below ``targets/``, size in bytes."""

    path: str
    size: int
    md5: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A package that a strategy offers to a device."""

    package: Package
    strategy: Strategy
    version: str


def check_new_version(session: Session, version: str, now: int) -> None:
    """Refuse a version that has a package already; raises StagingError or FieldError."""
    version_key(version)
    if _package_of(session, version, now) is not None:
        raise StagingError(f"version {version}: there is a package already")


def add_package(
    session: Session, version: str, target: Target, description: str, now: int
) -> Package:
    """Record a package of the default product."""
    product = default_product(session, now)
    package = Package(
        product_id=product.id,
        os_version_id=os_version(session, product.id, version).id,
        path=target.path,
        size=target.size,
        md5=target.md5,
        sha256=target.sha256,
        description=description,
        create_time=now,
        update_time=now,
    )
    session.add(package)
    session.flush()
    return package


def packages(session: Session) -> list[tuple[Package, str]]:
    """Return every package with its version, oldest first."""
    statement = (
        select(Package, OsVersion.version)
        .join(OsVersion, OsVersion.id == Package.os_version_id)
        .order_by(Package.id)
    )
    return [(package, version) for package, version in session.execute(statement)]


def add_strategy(
    session: Session,
    version: str,
    kind: StrategyType,
    from_versions: Sequence[str],
    batches: Sequence[str],
    now: int,
) -> Strategy:
    """Plan to offer a version; nobody sees it before it is published.

    Raises:
        NotFoundError: no package has this version.
        FieldError: a version is not numbers joined by dots.
    """
    for old in from_versions:
        version_key(old, field="from")
    package = _package_of(session, version, now)
    if package is None:
        raise NotFoundError(f"version {version}: there is no package")
    strategy = Strategy(
        package_id=package.id,
        type=kind.value,
        from_versions=list(from_versions),
        batches=list(batches),
        create_time=now,
    )
    session.add(strategy)
    session.flush()
    return strategy


def publish_strategy(session: Session, strategy_id: int) -> Strategy:
    """Let a strategy take effect; raises NotFoundError."""
    strategy = session.get(Strategy, strategy_id)
    if strategy is None:
        raise NotFoundError(f"strategy {strategy_id}: there is none")
    strategy.status = PUBLISHED
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


def offers(session: Session, product_id: int, version: str, batch: str) -> list[Offer]:
    """Return what published strategies offer to a device, the best first.

    Best is the highest version; among strategies for the same one, the latest.
    """
    statement = (
        select(Package, Strategy, OsVersion.version)
        .join(Strategy, Strategy.package_id == Package.id)
        .join(OsVersion, OsVersion.id == Package.os_version_id)
        .where(Package.product_id == product_id, Strategy.status == PUBLISHED)
    )
    found = [Offer(*row) for row in session.execute(statement)]
    applicable = [offer for offer in found if applies(offer, version, batch)]
    return sorted(applicable, key=lambda o: (version_key(o.version), o.strategy.id), reverse=True)


def applies(offer: Offer, version: str, batch: str) -> bool:
    """Tell whether a device of this version and batch is meant; empty lists restrict nothing."""
    running, strategy = version_key(version), offer.strategy
    return (
        version_key(offer.version) > running
        and (not strategy.from_versions or running in map(version_key, strategy.from_versions))
        and (not strategy.batches or batch in strategy.batches)
    )


def _package_of(session: Session, version: str, now: int) -> Package | None:
    product = default_product(session, now)
    return session.scalar(
        select(Package)
        .join(OsVersion, OsVersion.id == Package.os_version_id)
        .where(Package.product_id == product.id, OsVersion.version == version)
    )
