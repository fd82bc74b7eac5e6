"""When the machine may restart for an update: inside its window, and never during a story.

`why_not_now` decides without I/O, from the caller's clock and player; `until_quiet` waits.
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

# How often a machine that must not restart now checks again, and for how long (seconds): a window
# comes once a day.
QUIET_POLL = 5.0
QUIET_TIMEOUT = 48 * 3600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the day in local time; it spans midnight if it ends before it begins."""

    begin: time
    end: time

    def holds(self, now: time) -> bool:
        """Return whether ``now`` is inside; the end is excluded."""
        if self.begin <= self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end


def parse_window(text: str, field: str = "window") -> Window:
    """Parse a window such as "02:00-05:00"; raises FieldError."""
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
    """Return why the machine must not restart now, or None if it may.

    Args:
        now: local time of day.
        window: when updates may restart the machine; None: at any time.
        playing: whether a story is being played.
        forced: whether the update must not wait.
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
        may_restart: called with ``forced``; returns a reason against a restart, or None.
        work: the order's work; its `cancel` ends the wait.
        transaction: the transaction's name in the log.
        forced: whether the order says that it must not wait.

    Raises:
        NotNowError: no such moment came within `QUIET_TIMEOUT`.
        CancelledOrderError: ``work`` was cancelled during the wait.
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
