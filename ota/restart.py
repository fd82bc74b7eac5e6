"""When and how the machine restarts for an update: one decision, and the way out of the process.

`find_reason_to_wait` decides without I/O on window, story and force together. `Restarter` asks it
until the machine may restart, before anything is switched; after the switch, only a story that
began in the meantime still delays the restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import time
from time import monotonic
from typing import Protocol

from ota.errors import NotNowError
from ota.order.worker import Interruptible
from wire.errors import FieldError
from wire.records import dataclass

# How often a machine that must not restart now checks again, and for how long (seconds): a window
# comes once a day.
QUIET_POLL = 5.0
QUIET_TIMEOUT = 48 * 3600.0
# How often a story that began after the switch is checked for its end, and how long one may delay
# the way back from a version that was given up.
STORY_POLL = 1.0
STORY_TIMEOUT = 3600.0

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


def find_reason_to_wait(
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


@dataclass(frozen=True, slots=True)
class Restart:
    """One restart that an update needs.

    Attributes:
        to_new: whether it leads to a new version; if not, out of one that was given up.
        reboot: whether the machine restarts; if not, the agent alone.
        forced: whether no story may delay it.
    """

    to_new: bool
    reboot: bool
    forced: bool = False

    @property
    def story_timeout(self) -> float:
        """How long a story may delay it, in seconds."""
        return QUIET_TIMEOUT if self.to_new else STORY_TIMEOUT


class Host(Protocol):
    """What a restart needs of the agent."""

    def local_time(self) -> time:
        """Return the local time of day, from trusted time."""
        ...

    def is_playing(self) -> bool:
        """Return whether a story is being played, or is paused."""
        ...

    async def prepare(self, restart: Restart) -> None:
        """Do what must be done before ``restart``; returns within a bounded time."""

    async def reboot(self) -> None:
        """Order the machine's restart; returns only if the machine refuses."""

    def end(self, *, restart: bool) -> None:
        """Stop the agent, and return at once; ``restart``: the process then runs the next version."""


class Restarter:
    """Waits for the moment at which the machine may restart, and restarts it."""

    def __init__(self, host: Host, window: Window | None = None) -> None:
        """Restart through ``host``, for updates only inside ``window``; None: at any time."""
        self._host = host
        self._window = window
        self._leaving: asyncio.Task[None] | None = None

    def find_reason_to_wait(self, *, forced: bool = False) -> str | None:
        """Return why the machine must not restart now, or None if it may."""
        return self._find_reason(self._window, forced=forced)

    async def wait_until_quiet(
        self, work: Interruptible, transaction: str, *, forced: bool = False
    ) -> None:
        """Wait until the machine may restart for the update ``transaction``.

        Args:
            work: the order's work; its `cancel` ends the wait.
            transaction: the transaction's name in the log.
            forced: whether the order says that it must not wait.

        Raises:
            NotNowError: no such moment came within `QUIET_TIMEOUT`.
            CancelledOrderError: ``work`` was cancelled during the wait.
        """
        end, logged = monotonic() + QUIET_TIMEOUT, None
        while (reason := self.find_reason_to_wait(forced=forced)) is not None:
            work.check()
            if monotonic() > end:
                raise NotNowError(f"no quiet moment in {QUIET_TIMEOUT / 3600:.0f} h: {reason}")
            if reason != logged:
                _log.info("update %s waits: %s", transaction, reason)
                logged = reason
            await asyncio.sleep(QUIET_POLL)
        work.check()

    def begin(self, restart: Restart) -> None:
        """Start to leave this process for ``restart``, and return at once."""
        self._leaving = asyncio.create_task(self.leave(restart))

    async def leave(self, restart: Restart) -> None:
        """Prepare the restart, let a story that began meanwhile end, then restart."""
        await self._host.prepare(restart)
        await self._wait_for_story(restart)
        if restart.reboot:
            await self._host.reboot()
            # The machine refused: the agent ends, and its next start orders the restart again.
            await self._wait_for_story(restart)
        self._host.end(restart=not restart.reboot)

    async def _wait_for_story(self, restart: Restart) -> None:
        """Wait by the same rule without the window, which was decided on before the switch."""
        logged = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(restart.story_timeout):
                while (reason := self._find_reason(None, forced=restart.forced)) is not None:
                    if not logged:
                        _log.info("the restart waits: %s", reason)
                    logged = True
                    await asyncio.sleep(STORY_POLL)

    def _find_reason(self, window: Window | None, *, forced: bool) -> str | None:
        host = self._host
        return find_reason_to_wait(
            host.local_time(), window, playing=host.is_playing(), forced=forced
        )
