"""Fetch a package: only the parts of it that this machine lacks, or all of it.

Parts work for images only (`ota.fetch.delta`). If they cannot be used (no map, a server
without ranges, a device that must not be read), the whole package is fetched, within the same data
budget. If the package itself is refused, the update fails in both cases.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from pathlib import Path

from ota.errors import (
    ContentError,
    IncompletePackageError,
    NoDeltaError,
)
from ota.fetch.delta import Delta
from ota.fetch.source import Source
from ota.fetch.whole import download
from ota.install.installer import Installer, Progress
from ota.settings import UpdaterSettings
from ota.trust.target import Target
from wire.ota import OtaEvent, OtaOrder
from wire.records import dataclass

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Package:
    """A package on disk; ``fill`` fetches its missing chunks, None: it is complete."""

    path: Path
    fill: Callable[[threading.Event], None] | None = None


def fetch_package(
    order: OtaOrder,
    target: Target,
    settings: UpdaterSettings,
    installer: Installer,
    stop: threading.Event,
    progress: Progress,
    rng: random.Random | None = None,
) -> Package:
    """Fetch a package, or the parts that this machine lacks; resume an earlier call. Blocks.

    Raises:
        OtaError, OSError: as `ota.fetch.whole.download`; ContentError also for an MD5 other than the
            order's.
    """
    source = Source(order.url, target.length, target.sha256, target.data_budget)
    folder = settings.download_dir
    if target.map is not None:
        _check_md5(target.map.md5, order)
        delta = Delta(source, target, target.map, settings, rng)
        try:
            return Package(delta.fetch(installer, stop, progress), delta.fill)
        except NoDeltaError as error:
            _log.info("the package is fetched whole: %s", error)
    done = download(source, folder, settings.download, stop, progress, rng)
    _check_md5(done.md5, order)
    return Package(done.path)


def _check_md5(md5: str, order: OtaOrder) -> None:
    if md5 != order.signature:
        detail = f"package has {md5}, the order says {order.signature}"
        raise ContentError("wrong MD5", detail, OtaEvent.CHECKSUM_FAIL)


def install_package(
    installer: Installer,
    package: Package,
    target: Target,
    stop: threading.Event,
    progress: Progress,
) -> None:
    """Install a package; if RAUC fails on one with holes, fill it and install it again. Blocks.

    Raises:
        OtaError, OSError: as `Installer.install` and `fetch_package`.
    """
    try:
        installer.install(package.path, target, stop, progress)
    except IncompletePackageError as error:
        if package.fill is None:
            raise
        _log.warning("installing from parts failed, the rest of the package is fetched: %s", error)
        package.fill(stop)
        installer.install(package.path, target, stop, progress)
