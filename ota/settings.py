"""What an updater works with: the machine, its repository, its folders, and every limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from base.clock import TrustedTime
from ota.fetch.retry import RetryPolicy
from ota.fetch.web import WebSettings
from ota.fetch.whole import DownloadSettings
from ota.trust.client import TrustSettings
from ota.trust.terms import DEFAULT_CHANNEL, INSTALLER

# How long the new version has to prove itself: a slow boot, Wi-Fi and a cloud that is being
# restarted fit; an owner who waits for a story should not wait longer.
CONFIRM_TIMEOUT = 300.0
# The rule of the device protocol's cloud: percent at most once a second.
PERCENT_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class UpdaterSettings:
    """What an updater works with.

    Attributes:
        product: this machine's product, as releases are signed for it.
        repository: base URL of the TUF repository.
        root_file: the TUF root that came with the machine.
        state_dir: the agent's STATE folder; ``ota/`` and ``slots/`` in it belong to this package.
        confirm_timeout: seconds after which an unconfirmed new version is rolled back.
        percent_interval: seconds between two percent reports.
        hardware: this machine's board, as releases spell it; "" when it is not known.
        channel: the channel whose releases this machine is offered.
        installer: what puts packages in place; releases for another one are refused.
        delta: whether of an image only what this machine lacks is fetched, where that can be done.
        refresh: how reading the metadata is retried.
        download: limits of the download; its ``web`` also serves the metadata.
    """

    product: str
    repository: str
    root_file: Path
    state_dir: Path
    confirm_timeout: float = CONFIRM_TIMEOUT
    percent_interval: float = PERCENT_INTERVAL
    hardware: str = ""
    channel: str = DEFAULT_CHANNEL
    installer: str = INSTALLER
    delta: bool = True
    refresh: RetryPolicy = field(default_factory=RetryPolicy)
    download: DownloadSettings = field(default_factory=DownloadSettings)

    @property
    def web(self) -> WebSettings:
        """How servers are reached."""
        return self.download.web

    @property
    def download_dir(self) -> Path:
        """Where the package is downloaded to."""
        return self.state_dir / "ota" / "download"

    def trust(self) -> TrustSettings:
        """Return the part that `ota.trust.client` needs."""
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
        """Where trusted time is kept."""
        return self.state_dir / "ota" / "time.json"

    def with_clock(self, clock: TrustedTime) -> UpdaterSettings:
        """Return the settings with ``clock`` as the time that everything is judged at."""
        web = replace(self.download.web, clock=clock)
        return replace(self, download=replace(self.download, web=web))


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the agent may hand in.

    Attributes:
        clock: trusted time; None makes one of its own, in ``STATE/ota/time.json``.
        may_restart: is told whether the order is forced, and says why the machine must not restart
            now, None when it may (see `window`).
        unproven: says what a version on trial has still to show.
        log_lines: the last lines of a version that failed its trial, without secrets.
    """

    clock: TrustedTime | None = None
    may_restart: Callable[[bool], str | None] = lambda _forced: None
    unproven: Callable[[], str] = lambda: "nothing confirmed it"
    log_lines: Callable[[], Sequence[str]] = list
