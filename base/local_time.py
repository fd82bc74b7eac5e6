"""The local time for rules of a family, and whether it is known at all.

A machine without a battery-backed clock starts at the time at which it was switched off, which may be
hours ago and is no reason for `base.clock` to disbelieve it: it is a lower bound only.
"""

from __future__ import annotations

import ctypes
from datetime import datetime
from pathlib import Path

from base.clock import TrustedTime

# adjtimex(2): the clock is not synchronised by anything.
TIME_ERROR = 5
# Bytes: struct timex has 208 on 64-bit machines.
_TIMEX_BYTES = 512
CLOCKS = Path("/sys/class/rtc")


def local_time(clock: TrustedTime) -> datetime | None:
    """Return the local time; None while nothing tells what time it is.

    It is told by the cloud since the machine's start, by a time service, or by a battery-backed clock.
    """
    if not clock.from_cloud and not (clock.believes_clock and (has_clock() or is_synchronised())):
        return None
    return datetime.fromtimestamp(clock.now()).astimezone()


def has_clock(folder: Path = CLOCKS) -> bool:
    """Return whether the machine has a clock that runs while it is switched off."""
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def is_synchronised() -> bool:
    """Return whether a time service (timesyncd, chrony, ntpd) keeps the clock."""
    answer: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return 0 <= answer < TIME_ERROR
