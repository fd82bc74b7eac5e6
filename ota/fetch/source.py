"""What is downloaded, how servers are reached, and within which limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import Path

from base.clock import TrustedTime
from ota.fetch.retry import RetryPolicy
from ota.space import free_bytes
from wire.records import dataclass

# An attempt that received this many bytes counts as progress and restarts the count of failures.
PROGRESS_BYTES = 64 * 1024
# Redirects in a row that are followed, of metadata and packages; never from https to http.
REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Source:
    """The file to fetch: its URL, and the signed length (bytes) and SHA-256 (hex).

    ``budget``: total bytes that it may cost on the network, over all attempts and restarts; None:
    `DownloadSettings.budget_factor` times the length.
    """

    url: str
    length: int
    sha256: str
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How servers are reached.

    Attributes:
        connect_timeout: seconds for name resolution, TCP and TLS; generous for mobile uplinks.
        read_timeout: seconds without a byte after which the connection counts as lost.
        ca_file: PEM file that https servers must chain to; None: the system's store.
        clock: the time at which certificate dates are checked.
    """

    connect_timeout: float = 15.0
    read_timeout: float = 30.0
    ca_file: Path | None = None
    clock: TrustedTime = field(default_factory=TrustedTime)


@dataclass(frozen=True, slots=True)
class DownloadSettings:
    """Limits of a download.

    Attributes:
        low_speed: minimum rate in bytes per second, averaged over ``low_speed_window`` seconds; a
            slower server is treated as a broken connection.
        reserve: bytes to leave free on the disk, for state that must still be written.
        max_rate: maximum rate in bytes per second, so that a story keeps streaming; 0: no limit.
        redirects: maximum number of redirects in a row.
        budget_factor: the data budget as a multiple of the length, if the release sets none.
        budget_attempts: maximum number of requests, over all restarts; a machine that crashes in
            every attempt must not retry forever.
    """

    web: WebSettings = field(default_factory=WebSettings)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    low_speed: int = 1024
    low_speed_window: float = 30.0
    reserve: int = 4 * 2**20
    max_rate: int = 0
    redirects: int = REDIRECTS
    budget_factor: float = 4.0
    budget_attempts: int = 500
    free_space: Callable[[Path], int] = free_bytes
