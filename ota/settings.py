"""The updater's settings and the hooks that the agent provides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from base.clock import TrustedTime
from ota.fetch.retry import RetryPolicy
from ota.fetch.source import DownloadSettings, WebSettings
from ota.trust.terms import DEFAULT_CHANNEL
from wire.ota import InstallerKind
from wire.records import dataclass

if TYPE_CHECKING:
    from ota.trust.client import TrustSettings

# The cloud of the device protocol accepts percent reports at most once a second.
PERCENT_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class UpdaterSettings:
    """Settings of the updater: the machine, its repository, its folders and the limits.

    Attributes:
        product: this machine's product, as named in signed releases.
        repository: base URL of the TUF repository.
        root_file: the TUF root that came with the machine.
        state_dir: the agent's STATE folder; ``ota/`` and ``slots/`` in it belong to this package.
        confirm_timeout: seconds after which an unconfirmed new version is rolled back.
        percent_interval: seconds between two percent reports.
        hardware: this machine's board, as releases spell it; "" if unknown.
        channel: the channel whose releases this machine is offered.
        installer: the installer in use; releases for another one are refused.
        delta: whether to fetch only the missing parts of an image where possible.
        refresh: the retry policy for reading the metadata.
        download: limits of the download; its ``web`` also serves the metadata.
    """

    product: str
    repository: str
    root_file: Path
    state_dir: Path
    confirm_timeout: float
    percent_interval: float = PERCENT_INTERVAL
    hardware: str = ""
    channel: str = DEFAULT_CHANNEL
    installer: InstallerKind = InstallerKind.SLOTS
    delta: bool = True
    refresh: RetryPolicy = field(default_factory=RetryPolicy)
    download: DownloadSettings = field(default_factory=DownloadSettings)

    @property
    def web(self) -> WebSettings:
        """Settings of the HTTP client."""
        return self.download.web

    @property
    def download_dir(self) -> Path:
        """The folder that packages are downloaded to."""
        return self.state_dir / "ota" / "download"

    def trust(self) -> TrustSettings:
        """Return the settings of `ota.trust.client`, which only an order needs."""
        from ota.trust.client import TrustSettings  # noqa: PLC0415  # see above

        return TrustSettings(
            product=self.product,
            repository=self.repository,
            root_file=self.root_file,
            metadata_dir=self.state_dir / "ota" / "metadata",
            web=self.web,
            hardware=self.hardware,
            channel=self.channel,
            installer=self.installer,
        )

    @property
    def time_file(self) -> Path:
        """The file in which trusted time is stored."""
        return self.state_dir / "ota" / "time.json"

    def with_clock(self, clock: TrustedTime) -> UpdaterSettings:
        """Return the settings with ``clock`` as the source of trusted time."""
        web = replace(self.download.web, clock=clock)
        return replace(self, download=replace(self.download, web=web))


@dataclass(frozen=True, slots=True)
class Hooks:
    """Callbacks and objects that the agent may provide.

    Attributes:
        clock: trusted time; None: the updater creates one, stored in ``STATE/ota/time.json``.
        missing_checks: returns which checks a version on trial has not passed yet.
        lacks_cloud_only: returns whether the first of those checks is the cloud's, which may be out.
        log_lines: returns the last log lines of a version that failed its trial, without secrets.
        reached_cloud: returns once this version is registered with its cloud; False: a try failed at the cloud before.
        all_told: returns whether the cloud has every report of this machine.
    """

    clock: TrustedTime | None = None
    missing_checks: Callable[[], str] = lambda: "nothing confirmed it"
    lacks_cloud_only: Callable[[], bool] = lambda: False
    log_lines: Callable[[], Sequence[str]] = list
    reached_cloud: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)
    all_told: Callable[[], bool] = lambda: False
