"""How many seconds were played today. Decides nothing, and stores nothing by itself.

The day is the local date of the rules' clock. When the clock makes a leap, as at its first setting after a
start in 1970, what was played before the leap still belongs to the date on which it really was: the
seconds of this boot since that midnight, and those of earlier boots whose date was never known.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from resources.times.rules_clock import MINUTE, RulesClock
from wire.records import dataclass

# Entries of a minute each: a day and an hour, because a day has 25 hours once a year.
RECENT_MAX = 25 * 60


@dataclass(frozen=True, slots=True)
class Played:
    """What is kept of a day; ``unsure``: those of its seconds whose date was not known."""

    day: int
    """The date's ordinal; 0: none yet."""
    seconds: float
    unsure: float


class DayBook:
    """The seconds of playing of the present day."""

    def __init__(
        self, clock: RulesClock, ticks: Callable[[], float], played: Played | None = None
    ) -> None:
        """Continue with what an earlier run has ``played``."""
        self._clock = clock
        self._ticks = ticks
        self._played = played or Played(0, 0.0, 0.0)
        # Of earlier boots; those of this boot are in `_recent`, with their times.
        self._unsure_before = self._played.unsure
        # When each minute of playing in this boot ended, in ticks, and its seconds.
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT_MAX)
        self._begin = -math.inf

    @property
    def day(self) -> int:
        """The ordinal of the date that is counted."""
        return self._played.day

    @property
    def seconds(self) -> float:
        """The seconds played on it."""
        return self._played.seconds

    def played(self) -> Played:
        """Return what is to be stored."""
        return self._played

    def add(self, seconds: float) -> None:
        """Count ``seconds`` of playing that end now."""
        if seconds <= 0:
            return
        unsure = 0.0 if self._clock.sure else seconds
        self._played = Played(self.day, self.seconds + seconds, self._played.unsure + unsure)
        ticks = self._ticks()
        if self._recent and ticks - self._begin < MINUTE:
            seconds += self._recent.pop()[1]
        else:
            self._begin = ticks
        self._recent.append((ticks, seconds))

    def turn(self) -> float | None:
        """Begin a new day if the date has changed; return the seconds since that midnight if so."""
        moment = self._clock.local(self._clock.now())
        day = moment.toordinal()
        if day > self.day:
            since = 3600.0 * moment.hour + 60.0 * moment.minute + moment.second
            self._played = self._new_day(day, since)
            return since
        # The cloud may correct the date backwards, and there is no second measure for the earlier one.
        if day != self.day:
            self._played = Played(day, self.seconds, self._played.unsure)
        if self._clock.sure:
            self._settle()
        return None

    def _new_day(self, day: int, since: float) -> Played:
        midnight = self._ticks() - since
        today = sum(seconds for end, seconds in self._recent if end > midnight)
        # The seconds before midnight are not to be counted with those after.
        self._begin = -math.inf
        if not self._clock.sure:
            self._unsure_before = 0.0  # a midnight that was counted is as good as any
            return Played(day, today, today)
        today += self._unsure_before
        self._unsure_before = 0.0
        return Played(day, today, 0.0)

    def _settle(self) -> None:
        """The date is known: what was played so far belongs to it."""
        self._unsure_before = 0.0
        if self._played.unsure:
            self._played = Played(self.day, self.seconds, 0.0)
