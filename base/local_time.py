"""The local time for rules of a family, and whether it is known at all.

A machine without a battery-backed clock starts at the time at which it was switched off, which may be
hours ago and is no reason for `base.clock` to disbelieve it: it is a lower bound only.
"""

from __future__ import annotations

import ctypes
import functools
import time
from datetime import datetime
from pathlib import Path

from base.clock import TrustedTime

# adjtimex(2): the clock is not synchronised by anything.
TIME_ERROR = 5
# Bytes: struct timex has 208 on 64-bit machines.
_TIMEX_BYTES = 512
CLOCKS = Path("/sys/class/rtc")
# systemd-timesyncd makes it once the clock is right.
TOLD_BY_TIMESYNCD = Path("/run/systemd/timesync/synchronized")


def local_time(clock: TrustedTime) -> datetime | None:
    """Return the local time; None while nothing tells what time it is."""
    return zoned(clock.now()) if is_known(clock) else None


def zoned(seconds: float) -> datetime:
    """Return a Unix time in the zone that the machine has now: it may have been set since the start."""
    time.tzset()
    return datetime.fromtimestamp(seconds).astimezone()


def is_known(clock: TrustedTime) -> bool:
    """Return whether the time is told: by the cloud since the machine's start, or by its own clock.

    That counts if a time service or a battery keeps it.
    """
    return clock.from_cloud or (clock.believes_clock and (has_clock() or is_synchronised()))


def has_clock(folder: Path = CLOCKS) -> bool:
    """Return whether the machine has a clock that runs while it is switched off."""
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def is_synchronised(told: Path = TOLD_BY_TIMESYNCD) -> bool:
    """Return whether a time service (timesyncd, chrony, ntpd) keeps the clock.

    The kernel is asked first. The service's sandbox refuses the call, as it sets clocks too: there the
    file of timesyncd tells, and for another service a drop-in allows it (docs/care.md).
    """
    answer: int = _libc().adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return 0 <= answer < TIME_ERROR or (answer < 0 and told.exists())


@functools.cache
def _libc() -> ctypes.CDLL:
    """Return the C library; to load it for each question would make new types that only the collector frees."""
    return ctypes.CDLL(None)
