"""Read which package may be installed from a repository, through The Update Framework (TUF).

python-tuf verifies signatures, thresholds, versions and expiry of the repository's metadata against
a root that came with the machine, at the time of `base.clock`; `ota.trust.target` then decides, without
I/O, on the signed entry. Other modules download the package and retry after a `FetchError`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from base.clock import TrustedTime
from base.files import fsync_tree, make_folder, read_record
from ota.errors import (
    ContentError,
    ExpiredMetadataError,
    FetchError,
    MachineError,
    MisuseError,
    StoppedError,
)
from ota.fetch.responses import is_metadata, looks_like_metadata, page_error
from ota.fetch.source import REDIRECTS, WebSettings
from ota.fetch.web import Body, Web, show_url
from ota.order.worker import run_blocking
from ota.trust.target import Target, check_target, target_path
from ota.trust.terms import DEFAULT_CHANNEL, ThisMachine
from wire.errors import show
from wire.ota import InstallerKind, OtaEvent, OtaOrder, version_key
from wire.records import dataclass

if TYPE_CHECKING:
    from tuf.api._payload import TargetFile  # tuf.api.metadata's, which mypy sees only there
    from tuf.ngclient.fetcher import FetcherInterface
    from tuf.ngclient.updater import Updater

READ_SIZE = 64 * 1024
# Seconds. A downgrade order is checked in the repository before it is answered; the cloud waits 10.
ASK_TIMEOUT = 6.0
# The member of timestamp.json with its signing time: a lower bound for a machine without a clock.
SIGNED_AT = "x-signed-at"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """Settings of a metadata refresh, and the machine that entries are checked against.

    Attributes:
        product: this machine's product, the folder of its targets.
        repository: base URL; metadata is read from ``{repository}/metadata/``.
        root_file: the TUF root that came with the machine.
        metadata_dir: the metadata verified before; prevents rollback attacks.
        deadline: seconds for one whole refresh; prevents slow retrieval attacks.
        web: settings of the HTTP client; expiry is checked at the time of its ``clock``.
        hardware: this machine's board, as releases spell it; "" if unknown.
        channel: the channel whose releases this machine is offered.
        installer: the installer in use; releases for another one are refused.
        metadata_url: URL of the metadata; "": ``{repository}/metadata/``.
    """

    product: str
    repository: str
    root_file: Path
    metadata_dir: Path
    deadline: float = 120.0
    web: WebSettings = field(default_factory=WebSettings)
    hardware: str = ""
    channel: str = DEFAULT_CHANNEL
    installer: InstallerKind = InstallerKind.SLOTS
    metadata_url: str = ""

    @property
    def clock(self) -> TrustedTime:
        """The clock at whose time expiry is checked."""
        return self.web.clock


def find_target(
    settings: TrustSettings, order: OtaOrder, running: str, stop: threading.Event
) -> Target:
    """Refresh the metadata and return the package that the order asks for. Blocks.

    Raises:
        ContentError: refused; names the failed check, and the attack it may indicate.
        FetchError: the repository could not be read; a retry may help.
        MachineError: the root file or the metadata folder is unusable.
        StoppedError: ``stop`` was set.
    """
    path = target_path(settings.product, order.version)
    signed = _look_up(settings, path, stop)
    if signed is None:
        raise ContentError("unknown target", f"{path} is not in the repository's signed metadata")
    machine = ThisMachine(
        settings.product, running, settings.hardware, settings.channel, settings.installer
    )
    return check_target(signed, order, machine)


async def check_newer(order: OtaOrder, running: str, settings: TrustSettings) -> None:
    """Refuse an order that is not newer, unless signed metadata permits this exact downgrade.

    The repository is read only for a downgrade.

    Raises:
        OtaError: refused, with the reason.
    """
    wanted, now = version_key(order.version), version_key(running)
    if wanted > now:
        return
    detail = f"version {order.version}, this machine runs {running}"
    if wanted == now:
        raise ContentError("not newer", detail)
    try:
        async with asyncio.timeout(ASK_TIMEOUT):
            await run_blocking(lambda stop: find_target(settings, order, running, stop))
    except (TimeoutError, FetchError) as error:
        reason = str(error) or f"no answer in {ASK_TIMEOUT:g} s"
        raise ContentError("not newer", f"{detail}; repository: {reason}") from error


def _look_up(settings: TrustSettings, path: str, stop: threading.Event) -> TargetFile | None:
    client = TrustClient(settings, stop)
    try:
        return client.look_up(path)
    except ExpiredMetadataError:
        # A time signed with a key revoked since must not make all later metadata look expired.
        if not client.forget_withdrawn_time():
            raise
    return TrustClient(settings, stop).look_up(path)


class TrustClient:
    """A python-tuf client that uses trusted time and stores the metadata durably."""

    def __init__(self, settings: TrustSettings, stop: threading.Event) -> None:
        """Use ``settings``; ``stop`` ends the work with StoppedError."""
        self._settings = settings
        self._stop = stop

    def look_up(self, path: str | None) -> TargetFile | None:
        """Refresh and return the signed entry of ``path``, or None without an entry or a path.

        Raises:
            ContentError, FetchError, MachineError, StoppedError: as `find_target`.
        """
        settings = self._settings
        try:
            root = read_record(settings.root_file)
            make_folder(settings.metadata_dir)
        except OSError as error:
            raise MachineError(f"trusted root: {error}") from error
        with Web(settings.web) as web, _converted_errors(settings, self._stop):
            try:
                updater = self._updater(web, root)
                updater.refresh()
                found = None if path is None else updater.get_targetinfo(path)
                self._note_time()
            finally:
                # python-tuf writes without fsync, also before it raises; a rollback of metadata
                # lost in a power cut would go unnoticed.
                fsync_tree(settings.metadata_dir)
        return found

    def _updater(self, web: Web, root: bytes) -> Updater:
        from tuf.ngclient.updater import Updater  # noqa: PLC0415  # only an update needs it

        settings = self._settings
        if (note := settings.clock.disbelief()) is not None:
            _log.warning("the expiry of metadata is checked at trusted time: %s", note)

        def use_trusted_time() -> None:
            _set_reference_time(updater, settings.clock.now())

        updater = Updater(
            str(settings.metadata_dir),
            settings.metadata_url or f"{settings.repository.rstrip('/')}/metadata/",
            # The server's time is used at once: it may be the first that this machine receives.
            fetcher=_make_fetcher(
                web, monotonic() + settings.deadline, self._stop, use_trusted_time
            ),
            bootstrap=root,
        )
        use_trusted_time()
        return updater

    @property
    def consistent_snapshot(self) -> bool:
        """Whether, by the newest trusted root, file names contain versions and hashes."""
        return bool(_load(self._settings.metadata_dir / "root.json").signed.consistent_snapshot)

    def _note_time(self) -> None:
        """Record the signing time of the verified timestamp, a lower bound on the time now."""
        signed = _load(self._settings.metadata_dir / "timestamp.json").signed
        text = signed.unrecognized_fields.get(SIGNED_AT)
        if text is None:  # the repository was made by another tool
            return
        try:
            when = datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
        except (TypeError, ValueError):
            _log.warning("timestamp.json: %s: got %s, expected a time", SIGNED_AT, show(text))
            return
        if when < signed.expires:
            self._settings.clock.note_metadata(when.timestamp(), self._timestamp_keys())

    def _timestamp_keys(self) -> list[str]:
        root = _load(self._settings.metadata_dir / "root.json").signed
        return list(root.roles["timestamp"].keyids)

    def forget_withdrawn_time(self) -> bool:
        """Drop the time if it was signed with keys that the newest trusted root no longer lists."""
        try:
            return self._settings.clock.forget_metadata(self._timestamp_keys())
        except (OSError, ValueError, LookupError):  # the root cannot be read
            return False


def _set_reference_time(updater: Updater, seconds: float) -> None:
    """Make python-tuf check expiry at trusted time.

    It has no parameter for that: on creation it stores the clock's time as ``reference_time``,
    which it does not use before `refresh`. A test verifies this.
    """
    trusted: Any = updater._trusted_set  # noqa: SLF001  # see above
    if not isinstance(getattr(trusted, "reference_time", None), datetime):
        raise MisuseError("this version of python-tuf keeps its time elsewhere")
    trusted.reference_time = datetime.fromtimestamp(seconds, UTC)


def _load(path: Path) -> Any:
    """Load a metadata file that python-tuf verified and stored."""
    from tuf.api.metadata import Metadata  # noqa: PLC0415  # only an update needs it

    return Metadata.from_bytes(path.read_bytes())


@contextmanager
def _converted_errors(settings: TrustSettings, stop: threading.Event) -> Iterator[None]:
    """Convert python-tuf's exceptions to ours."""
    from tuf.api import exceptions as tuf  # noqa: PLC0415  # only an update needs it

    refusals = _refusals()
    try:
        yield
    except OSError as error:
        raise MachineError(f"metadata folder: {error}") from error
    except tuf.ExpiredMetadataError as error:
        note = settings.clock.disbelief()
        raise ExpiredMetadataError(_detail(error) + (f" ({note})" if note else "")) from error
    except tuple(refusals) as error:
        check = next(text for kind, text in refusals.items() if isinstance(error, kind))
        raise ContentError(check, _detail(error), OtaEvent.IMAGE_INVALID) from error
    except tuf.DownloadError as error:
        if stop.is_set():
            raise StoppedError("stopped while reading metadata") from error
        raise FetchError(f"repository {show_url(settings.repository)}: {error}") from error


def _detail(error: Exception) -> str:
    return show(str(error), 200).strip('"')


def _refusals() -> dict[type[Exception], str]:
    """Return the failed check, and its attack, for each exception; subclasses come first."""
    from tuf.api import exceptions as tuf  # noqa: PLC0415  # only an update needs it

    return {
        tuf.UnsignedMetadataError: "wrong signature (arbitrary software)",
        tuf.BadVersionNumberError: "older metadata (rollback)",
        tuf.LengthOrHashMismatchError: "metadata of another state (mix-and-match)",
        tuf.RepositoryError: "bad metadata",
        tuf.DownloadLengthMismatchError: "metadata without end (endless data)",
        # python-tuf's parser raises these for some malformed metadata.
        ValueError: "bad metadata",
        LookupError: "bad metadata",
        TypeError: "bad metadata",
    }


def _note_date(web: Web, date: str | None) -> None:
    """Record the repository's time, from its Date header over verified TLS."""
    try:
        seconds = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):  # missing, or not a date
        return
    web.clock.note_cloud(seconds, web.chain_end)


def _metadata(body: Body, check: Callable[[], None]) -> Iterator[bytes]:
    """Yield a body in pieces, after each of which ``check`` may raise; a web page passes by itself.

    Raises:
        FetchError: it is empty, a page for people, or no whole document of TUF's, as networks answer before their log-in and
            proxies that were cut.
    """
    chunk, whole = body.read(READ_SIZE), b""
    if not chunk:
        raise FetchError(f"{show_url(body.url)}: an empty answer")
    if not looks_like_metadata(chunk):
        raise page_error(body.url)
    while chunk:
        whole += chunk  # no longer than python-tuf takes of it
        yield chunk
        check()
        chunk = body.read(READ_SIZE)
    if not is_metadata(whole):
        raise FetchError(
            f"{show_url(body.url)}: {len(whole)} bytes came that are no whole metadata (does the network want a log-in?)"
        )


def _make_fetcher(
    web: Web, deadline: float, stop: threading.Event, date_noted: Callable[[], None]
) -> FetcherInterface:
    """Return a fetcher for python-tuf; what may pass becomes DownloadError, also while iterating.

    A refusal (a bad URL, a redirect that must not be followed) is final, and stays a ContentError.
    ``date_noted`` is called after a response with the server's time was received.
    """
    from tuf.api.exceptions import (  # noqa: PLC0415  # only an update needs it
        DownloadError,
        DownloadHTTPError,
        SlowRetrievalError,
    )
    from tuf.ngclient.fetcher import FetcherInterface  # noqa: PLC0415  # only an update needs it

    def check() -> None:
        if stop.is_set():
            raise DownloadError("stopped")
        if monotonic() > deadline:
            raise SlowRetrievalError("too slow for the deadline (slow retrieval)")

    class Fetcher(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            check()
            try:
                with web.get(url, redirects=REDIRECTS) as body:
                    if body.url.startswith("https:"):
                        _note_date(web, body.header("Date"))
                        date_noted()
                    if body.status != 200:
                        text = f"{show_url(url)} answered HTTP {body.status}"
                        raise DownloadHTTPError(text, body.status)
                    yield from _metadata(body, check)
            except (FetchError, MachineError) as error:
                raise DownloadError(str(error)) from error

    return Fetcher()
