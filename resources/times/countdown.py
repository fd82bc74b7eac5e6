"""The last minute before a limit: a sign, a fade, silence. It decides; the keeper plays.

The sleep timer and the parents' rules each say how many seconds are left; whichever is nearer counts.
Both end in the same way, so there is never a second fade.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from wire.records import dataclass

# Seconds before the end at which a soft sign is given: enough to ask for more time.
SIGN_SECONDS = 60.0
# Seconds of the fade: long enough not to wake a child who is falling asleep.
FADE_SECONDS = 25.0
# Seconds of the fade where a limit is there at once, for example when a parent orders quiet now.
SHORT_FADE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sign:
    """Give a soft sign."""


@dataclass(frozen=True, slots=True)
class Fade:
    """Fade out within ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Restore:
    """The limit has moved: take the fade back."""


@dataclass(frozen=True, slots=True)
class Silence:
    """The time is over: nothing may sound."""


Action = Sign | Fade | Restore | Silence


class _State(Enum):
    FAR = auto()
    """More than a minute is left, or there is no limit."""
    NEAR = auto()
    """The last minute has begun."""
    FADING = auto()
    """The level falls."""


class Countdown:
    """Follows the seconds left while something plays; call `step` at each change and each second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Count on ``clock``, monotonic seconds."""
        self._clock = clock
        self._state = _State.FAR
        self._before: float | None = None
        self._silent_at = 0.0

    @property
    def ending(self) -> bool:
        """Whether the last minute has begun."""
        return self._state is not _State.FAR

    @property
    def fading(self) -> bool:
        """Whether the level falls."""
        return self._state is _State.FADING

    def reset(self) -> None:
        """Begin anew, because nothing plays."""
        self._state = _State.FAR
        self._before = None

    def step(self, left: float | None, *, natural: float | None = None) -> Action | None:
        """Return what is to be done now.

        Args:
            left: seconds until silence; None: no limit.
            natural: seconds until a story ends by itself and none follows; it needs no fade.
        """
        action = self._step(left, natural)
        nearest = [seconds for seconds in (left, natural) if seconds is not None]
        self._before = min(nearest, default=None)
        return action

    def _step(self, left: float | None, natural: float | None) -> Action | None:
        if left is not None and left <= FADE_SECONDS:
            return self._end(left)
        was_fading = self._state is _State.FADING
        near = any(seconds is not None and seconds <= SIGN_SECONDS for seconds in (left, natural))
        first = near and self._state is _State.FAR
        self._state = _State.NEAR if near else _State.FAR
        if was_fading:
            return Restore()
        # Who orders one minute, or a story near its end, needs no sign of it.
        return Sign() if first and self._before is not None else None

    def _end(self, left: float) -> Action | None:
        if self._state is not _State.FADING:
            self._state = _State.FADING
            seconds = max(left, SHORT_FADE_SECONDS)
            self._silent_at = self._clock() + seconds
            return Fade(seconds)
        return Silence() if self._clock() >= self._silent_at else None

    def until_next(self, left: float | None) -> float | None:
        """Return the seconds until `step` has something to do, None without a limit."""
        if left is None:
            return None
        if self._state is _State.FADING:
            return max(self._silent_at - self._clock(), 0.0)
        border = SIGN_SECONDS if left > SIGN_SECONDS else FADE_SECONDS
        return max(left - border, 0.0)
