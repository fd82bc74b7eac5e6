"""Whether a machine may restart for an update now: not outside its window, never into a story.

The decision is pure; the clock and the player are the caller's. `until_quiet` waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time
from time import monotonic

from ota.errors import NotNowError
from ota.order.worker import Interruptible
from wire.errors import FieldError

# How often a machine that must not restart now asks again, and how long it goes on asking (seconds):
# a window comes once a day.
QUIET_POLL = 5.0
QUIET_TIMEOUT = 48 * 3600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the day, local time; one that ends before it begins goes over midnight."""

    begin: time
    end: time

    def holds(self, now: time) -> bool:
        """Whether ``now`` is in it; the end is not."""
        if self.begin <= self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end


def parse_window(text: str, field: str = "window") -> Window:
    """Read "02:00-05:00"; raises FieldError."""
    begin, dash, end = text.partition("-")
    try:
        window = Window(time.fromisoformat(begin.strip()), time.fromisoformat(end.strip()))
    except ValueError as error:
        raise FieldError(field, text, 'two local times such as "02:00-05:00"') from error
    if not dash or window.begin == window.end or window.begin.tzinfo or window.end.tzinfo:
        raise FieldError(field, text, 'two local times such as "02:00-05:00"')
    return window


def why_not_now(
    now: time, window: Window | None, *, playing: bool, forced: bool = False
) -> str | None:
    """Say why the machine must not restart now; None when it may.

    Args:
        now: local time of day.
        window: when updates may restart it; None: always.
        playing: whether a story is being played.
        forced: whether somebody decided that it cannot wait.
    """
    if forced:
        return None
    if playing:
        return "a story is being played"
    if window is not None and not window.holds(now):
        return f"outside of the window from {window.begin:%H:%M} to {window.end:%H:%M}"
    return None


async def until_quiet(
    may_restart: Callable[[bool], str | None],
    work: Interruptible,
    transaction: str,
    *,
    forced: bool = False,
) -> None:
    """Wait until the machine may restart for the update ``transaction``.

    Args:
        may_restart: asked with ``forced``; gives a reason against it, or None.
        work: what the order is being done in; its `cancel` ends the wait.
        transaction: for the log.
        forced: whether the order says that it cannot wait.

    Raises:
        NotNowError: that moment did not come within `QUIET_TIMEOUT`.
        CancelledOrderError: ``work`` was cancelled meanwhile.
    """
    end, told = monotonic() + QUIET_TIMEOUT, None
    while (reason := may_restart(forced)) is not None:
        work.check()
        if monotonic() > end:
            raise NotNowError(f"no quiet moment in {QUIET_TIMEOUT / 3600:.0f} h: {reason}")
        if reason != told:
            _log.info("update %s waits: %s", transaction, reason)
            told = reason
        await asyncio.sleep(QUIET_POLL)
    work.check()
