"""Decides how long the link waits before its next try; it does not wait itself.

- What passes is tried again after 0.5 s, doubling to the maximum, with jitter.
- What rarely passes (`LinkError.slow`) is tried every few minutes.
- A link that registered has shown that the way is free: the wait of the outage before is forgotten.
  One that breaks again and again soon after doubles a wait of its own.
- Links that a cloud's restart ends all at once come back spread over a few seconds.
- A new version on trial has minutes to prove itself: then nothing is slow.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from agent.link import LinkError
from agent.settings import LinkSettings
from base.backoff import Backoff

# Seconds after which a link counts as stable, so that its own back-off starts again.
STABLE_SECONDS = 30.0
# Seconds over which the links return that lived longer: 1,000 machines are then 83 a second, and of five restarts no
# second holds more than 3 % of the reconnects (`tests.staging.advise.test_storm`).
SPREAD_SECONDS = 12.0
# The longest wait, in seconds, while a new version is on trial.
TRIAL_SECONDS = 5.0


class Pace:
    """The waits of one link."""

    def __init__(
        self,
        settings: LinkSettings,
        on_trial: Callable[[], bool] = lambda: False,
        rng: random.Random | None = None,
    ) -> None:
        """Take the longest waits from ``settings``; ``on_trial``: whether this version is new."""
        self._settings = settings
        self._on_trial = on_trial
        self._rng = rng or random.Random()  # noqa: S311  # jitter, no secret
        self._outage = Backoff(settings.retry_max_seconds, self._rng)
        self._breaks = Backoff(settings.retry_max_seconds, self._rng)
        # Whether the last link lived for long, and no try has failed since.
        self._was_stable = False

    def wait_after(self, error: LinkError, lived: float | None) -> float:
        """Return the seconds until the next try.

        Args:
            error: why the try, or the link, ended.
            lived: how long the link was registered, in seconds; None: it never was.
        """
        seconds = self._wait(error, lived)
        return min(seconds, TRIAL_SECONDS) if self._on_trial() else seconds

    def _wait(self, error: LinkError, lived: float | None) -> float:
        if lived is not None:
            self._outage.reset()
            self._was_stable = False
        if error.slow:
            return self._outage.jittered(self._settings.refused_retry_seconds)
        if lived is None:
            return self._after_failure()
        if lived < STABLE_SECONDS:
            return self._breaks.next()
        self._breaks.reset()
        self._was_stable = True
        return self._spread()

    def _after_failure(self) -> float:
        # Of a cloud that is away for two seconds, those that came too early would be back all at once.
        if self._was_stable:
            self._was_stable = False
            return self._spread()
        return self._outage.next()

    def _spread(self) -> float:
        return self._rng.uniform(0, min(SPREAD_SECONDS, self._settings.retry_max_seconds))


def clock_was_set(
    before: tuple[float, float], now: tuple[float, float], tolerance: float = 2.0
) -> bool:
    """Return whether the clock was set between two readings of (clock, ticks), in seconds."""
    return abs((now[0] - before[0]) - (now[1] - before[1])) > tolerance
