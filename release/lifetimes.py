"""How long each role is valid, and by which clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from base.clock import EARLIEST, show_time
from release.errors import ReleaseToolError

# Root: a device that was off for years must still accept the chain. Targets: a lost key must not
# sign for ever. Snapshot and timestamp: they limit how long a freeze attack can withhold updates.
LIFETIME = {
    "root": timedelta(days=3650),
    "targets": timedelta(days=365),
    "snapshot": timedelta(days=7),
    "timestamp": timedelta(days=7),
}


def expiry(role: str) -> datetime:
    """Return when a role that is signed now expires."""
    lifetime = LIFETIME.get(role, LIFETIME["targets"])
    return now() + lifetime


def now() -> datetime:
    """Return the time, in whole seconds as TUF writes it."""
    return datetime.now(UTC).replace(microsecond=0)


def check_clock() -> None:
    """Refuse to sign or verify by an implausible clock, which is common on an offline machine.

    Raises:
        ReleaseToolError: the clock is before `EARLIEST`, so new signatures would have expired.
    """
    seconds = now().timestamp()
    if seconds < EARLIEST:
        reason = f"expected {show_time(EARLIEST)} or later; set it first"
        raise ReleaseToolError(f"this machine's clock says {show_time(seconds)}, {reason}")
