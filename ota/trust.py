"""Which package may be installed: The Update Framework decides, the order may only refuse.

python-tuf checks signatures, thresholds, versions and expiry of the repository's metadata against a
root that came with the machine; `check_target` then holds the signed entry against the order and
this machine. Left to others: the download of the package, the retry of what is a `TransportError`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ota.errors import ContentError, MachineError, StoppedError, TransportError
from ota.files import fsync_tree, make_folder
from ota.web import Web, WebSettings, show_url
from wire.errors import WireError, show
from wire.fields import get_string, is_object
from wire.ota import OtaEvent, OtaOrder, version_key

if TYPE_CHECKING:
    from tuf.api._payload import TargetFile  # tuf.api.metadata's, which mypy sees only there
    from tuf.ngclient.fetcher import FetcherInterface

READ_SIZE = 64 * 1024
# What signed metadata must say of a package that this version of the agent can install.
INSTALLER = "slots"


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """Where trust comes from.

    Attributes:
        product: this machine's product, the folder of its targets.
        repository: base URL; metadata is read from ``{repository}/metadata/``.
        root_file: the TUF root that came with the machine.
        metadata_dir: what was verified before; guards against being rolled back.
        deadline: seconds for one whole refresh; ends a server that trickles (slow retrieval).
    """

    product: str
    repository: str
    root_file: Path
    metadata_dir: Path
    deadline: float = 120.0
    web: WebSettings = field(default_factory=WebSettings)


@dataclass(frozen=True, slots=True)
class Target:
    """A package that signed metadata admits: its path there, length in bytes and SHA-256 (hex)."""

    path: str
    length: int
    sha256: str
    version: str
    product: str


def target_path(product: str, version: str) -> str:
    """Return the path under which a product's version is signed."""
    return f"{product}/{version}.tar.gz"


def target_file_names(version: str, sha256: str) -> tuple[str, str]:
    """Return the names a package may have at the end of its URL: consistent-snapshot, and plain."""
    return f"{sha256}.{version}.tar.gz", f"{version}.tar.gz"


def find_target(
    settings: TrustSettings, order: OtaOrder, running: str, stop: threading.Event
) -> Target:
    """Bring the metadata up to date and return the package that the order may have. Blocks.

    Raises:
        ContentError: refused; names the check, and the attack where it looks like one.
        TransportError: the repository could not be read; trying again may help.
        MachineError: the root file or the metadata folder is unusable.
        StoppedError: ``stop`` was set.
    """
    check_newer(order.version, running)
    path = target_path(settings.product, order.version)
    signed = _look_up(settings, path, stop)
    if signed is None:
        raise ContentError("unknown target", f"{path} is not in the repository's signed metadata")
    return check_target(signed, order, settings.product)


def check_newer(version: str, running: str) -> None:
    """Refuse a version that is not newer than the running one; raises ContentError."""
    if version_key(version) <= version_key(running):
        raise ContentError("not newer", f"version {version}, this machine runs {running}")


def check_target(signed: TargetFile, order: OtaOrder, product: str) -> Target:
    """Hold the signed entry against the order and this machine's product.

    Raises:
        ContentError: they disagree; names the field.
    """
    custom = signed.custom
    if not is_object(custom):
        raise ContentError("bad target", f"custom fields: got {show(custom)}, expected an object")
    sha256 = signed.hashes.get("sha256")
    if sha256 is None:
        raise ContentError("bad target", "no sha256 in the signed hashes")
    _agree("wrong product", "product", _custom(custom, "product"), product)
    _agree("wrong version", "version", _custom(custom, "version"), order.version)
    _agree("wrong installer", "installer", _custom(custom, "installer"), INSTALLER)
    _agree("wrong size", "ota.size", order.size, signed.length)
    _check_url(order, sha256)
    return Target(signed.path, signed.length, sha256, order.version, product)


def _custom(custom: Mapping[str, object], name: str) -> str:
    try:
        return get_string(custom, name, path="custom.")
    except WireError as error:
        raise ContentError("bad target", str(error)) from error


def _agree(check: str, name: str, got: object, expected: object) -> None:
    if got != expected:
        raise ContentError(check, f"{name}: got {show(got)}, expected {show(expected)}")


def _check_url(order: OtaOrder, sha256: str) -> None:
    names = target_file_names(order.version, sha256)
    try:
        name = unquote(urlsplit(order.url).path).rpartition("/")[2]
    except ValueError as error:
        raise ContentError("wrong URL", f"ota.url: {show(order.url)} is no URL") from error
    if name not in names:
        raise ContentError("wrong URL", f"ota.url: ends in {show(name)}, expected {names[0]}")


def _look_up(settings: TrustSettings, path: str, stop: threading.Event) -> TargetFile | None:
    from tuf.ngclient.updater import Updater  # noqa: PLC0415  # only an update needs it

    try:
        root = settings.root_file.read_bytes()
        make_folder(settings.metadata_dir)
    except OSError as error:
        raise MachineError(f"trusted root: {error}") from error
    with Web(settings.web) as web, _verdicts(settings, stop):
        try:
            updater = Updater(
                str(settings.metadata_dir),
                f"{settings.repository.rstrip('/')}/metadata/",
                fetcher=_make_fetcher(web, time.monotonic() + settings.deadline, stop),
                bootstrap=root,
            )
            updater.refresh()
            return updater.get_targetinfo(path)
        finally:
            # python-tuf writes without fsync, also before it raises; what it lost to a power cut
            # could be rolled back unnoticed.
            fsync_tree(settings.metadata_dir)


@contextmanager
def _verdicts(settings: TrustSettings, stop: threading.Event) -> Iterator[None]:
    """Turn python-tuf's exceptions into ours."""
    from tuf.api.exceptions import DownloadError  # noqa: PLC0415  # only an update needs it

    refusals = _refusals()
    try:
        yield
    except OSError as error:
        raise MachineError(f"metadata folder: {error}") from error
    except tuple(refusals) as error:
        check = next(text for kind, text in refusals.items() if isinstance(error, kind))
        detail = show(str(error), 200).strip('"')
        raise ContentError(check, detail, OtaEvent.IMAGE_INVALID) from error
    except DownloadError as error:
        if stop.is_set():
            raise StoppedError("stopped while reading metadata") from error
        raise TransportError(f"repository {show_url(settings.repository)}: {error}") from error


def _refusals() -> dict[type[Exception], str]:
    """Say which check, and against which attack, each exception stands for; leaves come first."""
    from tuf.api import exceptions as tuf  # noqa: PLC0415  # only an update needs it

    return {
        tuf.UnsignedMetadataError: "wrong signature (arbitrary software)",
        tuf.ExpiredMetadataError: "expired metadata (freeze)",
        tuf.BadVersionNumberError: "older metadata (rollback)",
        tuf.LengthOrHashMismatchError: "metadata of another state (mix-and-match)",
        tuf.RepositoryError: "bad metadata",
        tuf.DownloadLengthMismatchError: "metadata without end (endless data)",
        # python-tuf's parser lets a few shapes of hostile metadata out as plain errors.
        ValueError: "bad metadata",
        LookupError: "bad metadata",
        TypeError: "bad metadata",
    }


def _make_fetcher(web: Web, deadline: float, stop: threading.Event) -> FetcherInterface:
    """Return python-tuf's network seam: every fault of ours, while iterating too, is a DownloadError."""
    from tuf.api.exceptions import (  # noqa: PLC0415  # only an update needs it
        DownloadError,
        DownloadHTTPError,
        SlowRetrievalError,
    )
    from tuf.ngclient.fetcher import FetcherInterface  # noqa: PLC0415  # only an update needs it

    def check() -> None:
        if stop.is_set():
            raise DownloadError("stopped")
        if time.monotonic() > deadline:
            raise SlowRetrievalError("too slow for the deadline (slow retrieval)")

    class Fetcher(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            check()
            try:
                with web.get(url) as body:
                    if body.status != 200:
                        text = f"{show_url(url)} answered HTTP {body.status}"
                        raise DownloadHTTPError(text, body.status)
                    while chunk := body.read(READ_SIZE):
                        yield chunk
                        check()
            except (TransportError, ContentError, MachineError) as error:
                raise DownloadError(str(error)) from error

    return Fetcher()
