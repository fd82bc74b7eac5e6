"""The sleep timer: minutes, a time of day, the end of this story, or of the N-th story that begins from now on.

It decides only. Minutes count on the machine's monotonic clock, paused or not: 20 means silence in 20
minutes. A tap in the last minute gives ten more; of a timer of one minute, in its fade. It survives a restart of the agent within
one boot; after another start of the machine nothing plays by itself, and there is no timer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from machine.errors import RefusedError
from resources.times.countdown import FADE_SECONDS, SIGN_SECONDS
from wire.errors import FieldError
from wire.fields import get_int, get_string
from wire.records import dataclass
from wire.sleep import (
    DAY_MINUTES,
    END,
    MINUTES_MAX,
    OFF,
    STORIES_MAX,
    Timer,
    TimerKind,
    after,
    at,
    minutes,
    show_time,
)

EXTENSION_MINUTES = 10
# Seconds. A timer that waits for the end of a story is dropped after this, and an endless stream ends.
LAPSE_SECONDS = MINUTES_MAX * 60.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A timer that was ordered: it ends at ``until``; ``stories`` begin before, None: it is a time.

    What comes before ``tapped_from`` is no tap. ``minute``: of the local day, if that was ordered.
    """

    until: float
    stories: int | None = None
    tapped_from: float = -math.inf
    minute: int | None = None


def unknown_time(_minute: int) -> float | None:
    """Return None: this machine knows no time of day."""
    return None


class SleepTimer:
    """One timer, or none; the last order wins."""

    def __init__(
        self,
        clock: Callable[[], float],
        boot: str = "",
        until: Callable[[int], float | None] = unknown_time,
    ) -> None:
        """Count on ``clock``: seconds since the machine's start ``boot``, sleep included.

        ``until`` returns the seconds until the local day's minute comes next, None if the time is unknown.
        """
        self._clock = clock
        self._boot = boot
        self._until = until
        self.pending: Pending | None = None
        """What was ordered, to be put back if it cannot be stored; None: no timer."""

    def order(self, timer: Timer, *, loaded: bool) -> None:
        """Set the timer.

        Args:
            timer: what was ordered.
            loaded: whether a story is loaded.

        Raises:
            RefusedError: the end of this story, and there is none; a time of day that is too far away, or
                while the time is unknown.
        """
        match timer.kind:
            case TimerKind.OFF:
                self.pending = None
            case TimerKind.MINUTES:
                until = self._clock() + timer.amount * 60.0
                near = SIGN_SECONDS if timer.amount > 1 else FADE_SECONDS
                self.pending = Pending(until, tapped_from=until - near)
            case TimerKind.AT:
                self.pending = self._at(timer.times)
            case TimerKind.END if not loaded:
                raise RefusedError('sleep_timer: nothing is playing, so there is no "end"')
            case TimerKind.END | TimerKind.AFTER:
                self.pending = Pending(self._clock() + LAPSE_SECONDS, timer.amount)

    def _at(self, times: tuple[int, ...]) -> Pending:
        found = [(left, minute) for minute in times if (left := self._until(minute)) is not None]
        if not found:
            raise RefusedError(
                "sleep_timer: the time of day is not known yet, expected minutes such as 20"
            )
        left, minute = min(found)
        if left > LAPSE_SECONDS:
            raise RefusedError(
                f"sleep_timer: got {show_time(minute)}, which is in {left / 3600:.1f} hours, "
                f"expected at most {MINUTES_MAX // 60}"
            )
        until = self._clock() + left
        return Pending(until, tapped_from=until - SIGN_SECONDS, minute=minute)

    @property
    def remaining(self) -> Timer:
        """What remains, in the data point's words: minutes rounded up, the time, or stories yet to begin."""
        if self.pending is None:
            return OFF
        if self.pending.minute is not None:
            return at(self.pending.minute)
        if self.pending.stories is None:
            left = math.ceil((self.pending.until - self._clock()) / 60.0)
            return minutes(min(max(left, 1), MINUTES_MAX))
        return after(self.pending.stories) if self.pending.stories else END

    @property
    def left(self) -> float | None:
        """Seconds until silence; None: no timer, or far from the limit of one that awaits stories."""
        return None if self.pending is None else self.pending.until - self._clock()

    @property
    def waits(self) -> bool:
        """Whether the timer waits for stories, not for a time."""
        return self.pending is not None and self.pending.stories is not None

    @property
    def ends_with_story(self) -> bool:
        """Whether the story that plays is the last one."""
        return self.pending is not None and self.pending.stories == 0

    def began(self) -> None:
        """A story begins; it is one of those that are awaited."""
        if self.pending is not None and self.pending.stories:
            self.pending = Pending(self.pending.until, self.pending.stories - 1)

    def stopped(self) -> None:
        """Nothing plays any more: a timer that awaits stories has done its work."""
        if self.waits:
            self.pending = None

    def touched(self) -> bool:
        """Somebody gave an order: near the end it extends the timer; return whether it did."""
        left = self.left
        if self.pending is None or self.pending.stories is not None or left is None:
            return False
        if left <= 0 or self._clock() < self.pending.tapped_from:
            return False
        self.order(minutes(EXTENSION_MINUTES), loaded=True)
        return True

    def expire(self) -> bool:
        """Drop a timer whose time is over; return whether there was one."""
        left = self.left
        if left is None or left > 0:
            return False
        self.pending = None
        return True

    def to_json(self) -> dict[str, object]:
        """Return what `restore` takes."""
        if self.pending is None:
            return {}
        told = {"boot": self._boot, "until": self.pending.until, "stories": self.pending.stories}
        return told if self.pending.minute is None else {**told, "minute": self.pending.minute}

    def restore(self, source: Mapping[str, object]) -> None:
        """Continue the timer of an earlier run in the same boot; raises FieldError for another form."""
        if not source or get_string(source, "boot", empty=True) != self._boot or not self._boot:
            return
        until, stories = source.get("until"), source.get("stories")
        now = self._clock()
        if (
            isinstance(until, bool)
            or not isinstance(until, int | float)
            or not now - LAPSE_SECONDS <= until <= now + LAPSE_SECONDS
        ):
            raise FieldError("until", until, "seconds of this boot")
        if stories is not None and (
            isinstance(stories, bool)
            or not isinstance(stories, int)
            or not 0 <= stories <= STORIES_MAX
        ):
            raise FieldError("stories", stories, "a number of stories or null")
        minute = get_int(source, "minute", high=DAY_MINUTES - 1) if "minute" in source else None
        self.pending = Pending(float(until), stories, float(until) - FADE_SECONDS, minute)
