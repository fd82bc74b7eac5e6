"""The sleep timer: minutes, the end of this story, or the end of the N-th story that begins from now on.

It decides only. Minutes count on the machine's monotonic clock, paused or not: 20 means silence in 20
minutes. A tap in the last minute gives ten more; of a timer of one minute, in its fade. It survives a restart of the agent within
one boot; after another start of the machine nothing plays by itself, and there is no timer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from machine.errors import RefusedError
from resources.times.countdown import FADE_SECONDS, SIGN_SECONDS
from wire.errors import FieldError
from wire.fields import get_string
from wire.sleep import END, MINUTES_MAX, OFF, STORIES_MAX, Timer, TimerKind, after, minutes

EXTENSION_MINUTES = 10
# Seconds. A timer that waits for the end of a story is dropped after this, and an endless stream ends.
LAPSE_SECONDS = MINUTES_MAX * 60.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A timer that was ordered: it ends at ``until``; ``stories`` begin before, None: it is a time.

    What comes before ``tapped_from`` is no tap.
    """

    until: float
    stories: int | None = None
    tapped_from: float = -math.inf


class SleepTimer:
    """One timer, or none; the last order wins."""

    def __init__(self, clock: Callable[[], float], boot: str = "") -> None:
        """Count on ``clock``: seconds since the machine's start ``boot``, sleep included."""
        self._clock = clock
        self._boot = boot
        self.pending: Pending | None = None
        """What was ordered, to be put back if it cannot be stored; None: no timer."""

    def order(self, timer: Timer, *, loaded: bool) -> None:
        """Set the timer.

        Args:
            timer: what was ordered.
            loaded: whether a story is loaded.

        Raises:
            RefusedError: the end of this story, and there is none.
        """
        match timer.kind:
            case TimerKind.OFF:
                self.pending = None
            case TimerKind.MINUTES:
                until = self._clock() + timer.amount * 60.0
                near = SIGN_SECONDS if timer.amount > 1 else FADE_SECONDS
                self.pending = Pending(until, tapped_from=until - near)
            case TimerKind.END if not loaded:
                raise RefusedError('sleep_timer: nothing is playing, so there is no "end"')
            case TimerKind.END | TimerKind.AFTER:
                self.pending = Pending(self._clock() + LAPSE_SECONDS, timer.amount)

    @property
    def remaining(self) -> Timer:
        """What remains, in the data point's words: minutes rounded up, or stories yet to begin."""
        if self.pending is None:
            return OFF
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
        return {"boot": self._boot, "until": self.pending.until, "stories": self.pending.stories}

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
        self.pending = Pending(float(until), stories, float(until) - FADE_SECONDS)
