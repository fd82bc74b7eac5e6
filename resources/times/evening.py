"""Sleep timer and parents' rules together: what is to be done with what plays. No I/O, one clock.

Both say how many seconds are left, and the nearer end counts. The keeper tells what sounds and when it
changes, asks `step`, and does what that says.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from resources.times.countdown import Action, Countdown
from resources.times.rules import ParentsRules
from resources.times.sleep_timer import SleepTimer
from wire.records import dataclass

# Seconds until the next `step` if nothing happens: rules may be near after the clock was set.
STEP_SECONDS = 30.0


class Stage(Enum):
    """What the machine does with a story."""

    EMPTY = auto()
    """There is none."""
    SILENT = auto()
    """It is paused or loading: nothing sounds before somebody, or the teller, says so."""
    HELD = auto()
    """It is silent for now and goes on by itself: somebody listens to the child, or there is no sound device."""
    SOUNDING = auto()
    """It is heard."""


class Why(Enum):
    """Whose end is nearer."""

    TIMER = auto()
    RULES = auto()


@dataclass(frozen=True, slots=True)
class Stop:
    """A story that is silent for now must not go on: end it."""


class Evening:
    """Decides; `account` must be called whenever the stage changes, and `step` after it."""

    def __init__(self, timer: SleepTimer, rules: ParentsRules, clock: Callable[[], float]) -> None:
        """Combine ``timer`` and ``rules``; ``clock``: seconds since the machine's start."""
        self.timer = timer
        self.rules = rules
        self._clock = clock
        self._countdown = Countdown(clock)
        self._stage = Stage.EMPTY
        self._at = clock()
        self.why = Why.TIMER

    @property
    def fading(self) -> bool:
        """Whether the level falls."""
        return self._countdown.fading

    def account(self, stage: Stage) -> None:
        """Count what sounded until now; from now on the stage is ``stage``."""
        now = self._clock()
        self.rules.tick(now - self._at if self._stage is Stage.SOUNDING else 0.0)
        self._at, self._stage = now, stage

    def step(self, natural: float | None = None) -> Action | Stop | None:
        """Return what is to be done now; ``natural``: seconds until the story's own end, if known."""
        goes_on = self._stage in {Stage.SOUNDING, Stage.HELD}
        left = self._left() if goes_on else None
        if not goes_on:
            self.why = Why.TIMER  # the rules let alone what is silent
        if self._stage is not Stage.SOUNDING:
            self._countdown.reset()
            over = self.timer.expire() or (left is not None and left <= 0)
            return Stop() if over and self._stage is not Stage.EMPTY else None
        last = self.timer.ends_with_story
        return self._countdown.step(left, natural=natural if last else None)

    def silenced(self) -> None:
        """What played is silent because its time is over."""
        self.timer.expire()
        self._countdown.reset()

    def wait(self) -> float:
        """Return the seconds until the next `step`, unless something happens before."""
        if self._stage is Stage.SOUNDING:
            left = self._countdown.until_next(self._left())
        else:
            left = self._left() if self._stage is Stage.HELD else self.timer.left
        return STEP_SECONDS if left is None else min(max(left, 0.0), STEP_SECONDS)

    def _left(self) -> float | None:
        timer, rules = self.timer.left, self.rules.left()
        if timer is None or (rules is not None and rules < timer):
            self.why = Why.RULES
            return rules
        self.why = Why.TIMER
        return timer

    # What happens.

    def touched(self) -> bool:
        """Somebody gave an order; return whether that moved the end of the timer."""
        return self.timer.touched()

    def began(self) -> None:
        """A story begins."""
        self.rules.story_ended()
        self.timer.began()

    def stopped(self) -> None:
        """Nothing plays any more."""
        self.rules.story_ended()
        self.timer.stopped()

    def goes_on(self) -> bool:
        """Return whether another story may follow the one that has ended."""
        return not self.timer.ends_with_story and not self.rules.refuses()
