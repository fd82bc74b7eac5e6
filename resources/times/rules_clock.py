"""The time by which the parents' rules are judged: never earlier than it was, whatever is pulled or set.

It is the trusted time (`base.clock`), and at least what the rules have seen before plus the machine's running
time since; a start of the machine counts from there. So neither a clock in 1970 nor one that was set back gives
a second day. Only the cloud's time over verified TLS may correct it backwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from base.clock import Known

MINUTE = 60
DAY_MINUTES = 24 * 60
# A day of 25 hours comes once a year.
LONGEST_DAY_SECONDS = 25 * 3600.0
LocalTime = Callable[[float], datetime]
"""Unix time in seconds to the local date and time of the machine's zone."""


class Time(Protocol):
    """The part of `base.clock.TrustedTime` that is needed here."""

    def now(self) -> float:
        """Return the Unix time in seconds."""

    @property
    def believes_clock(self) -> bool:
        """Whether the machine's clock can be right."""

    @property
    def from_cloud(self) -> bool:
        """Whether the cloud told the time since the machine's start."""

    @property
    def was_told(self) -> bool:
        """Whether the cloud told the time in this run or in an earlier one."""


class RulesClock:
    """A lower bound of the time that only grows, and whether it is the time itself."""

    def __init__(
        self,
        time: Time,
        ticks: Callable[[], float],
        boot: str,
        local: LocalTime,
        known: Callable[[], bool],
        seen: Known | None = None,
        *,
        dated: bool = False,
    ) -> None:
        """Judge by ``time``.

        Args:
            time: the trusted time.
            ticks: seconds since the machine's start, sleep included.
            boot: the id of this start.
            local: the local time of a Unix time.
            known: whether the time is known now.
            seen: the latest time that an earlier run has seen.
            dated: whether the time of day meant something to that run.
        """
        self._time = time
        self._ticks = ticks
        self._boot = boot
        self._known = known
        self._seen = seen
        self._dated = dated
        self.local = local

    def now(self) -> float:
        """Return the Unix time in seconds."""
        now = self._time.now()
        if self._seen is None or self._time.from_cloud:
            return now
        return max(now, self._seen.at(self._ticks(), self._boot))

    @property
    def sure(self) -> bool:
        """Whether the time is known now, and not only counted from the start of the machine."""
        return self._known()

    @property
    def dated(self) -> bool:
        """Whether the time of day means something: the clock can be right, or it could in an earlier run.

        It may be behind, as after a start without a battery-backed clock. It is never ahead.
        """
        return self.sure or self._time.believes_clock or self._dated or self._time.was_told

    def note(self) -> Known:
        """Remember the time as seen; return what is to be stored."""
        self._dated = self.dated
        self._seen = Known(self.now(), self._ticks(), self._boot)
        return self._seen

    def until_minute(self, minute: int) -> float | None:
        """Return the seconds until the ``minute`` of the local day begins next; None while the time is unknown.

        Where the clocks go forward over it, that is the minute in which they do.
        """
        if not self.sure:
            return None
        before = _minute(self.local(self.now()))

        def is_reached(moment: datetime) -> bool:
            nonlocal before
            passed, before = (_minute(moment) - before) % DAY_MINUTES, _minute(moment)
            went_back = passed > DAY_MINUTES // 2
            return before == minute or (not went_back and (before - minute) % DAY_MINUTES < passed)

        return self.first(
            is_reached, within=LONGEST_DAY_SECONDS, after=MINUTE - self.now() % MINUTE
        )

    def first(
        self, wanted: Callable[[datetime], bool], *, within: float, after: float = 0.0
    ) -> float | None:
        """Return the seconds until the local time is ``wanted``, None if it is not ``within`` seconds.

        Periods begin and end with a minute, also at a change between summer and winter time. The
        answer is not before ``after`` seconds.
        """
        now = self.now()
        moment = now + after
        while moment - now <= within:
            if wanted(self.local(moment)):
                return moment - now
            moment = float((math.floor(moment) // MINUTE + 1) * MINUTE)
        return None


def _minute(moment: datetime) -> int:
    return moment.hour * MINUTE + moment.minute
