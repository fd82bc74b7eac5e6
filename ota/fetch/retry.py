"""When to try again, how long to wait before, and when to stop: back-off, jitter and an end."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

from ota.errors import StoppedError, TransportError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how fast to try again.

    Attributes:
        attempts: attempts in a row without progress before giving up.
        total: attempts altogether; ends a server that always breaks off after a little.
        first: seconds before the second attempt; each further wait doubles.
        longest: seconds that a wait is capped at.
        longest_asked: seconds that a server may ask us to stay away (Retry-After), at most.
    """

    attempts: int = 8
    total: int = 200
    first: float = 1.0
    longest: float = 60.0
    longest_asked: float = 3600.0


class RetryLaterError(TransportError):
    """A server asked to be left alone for a while (HTTP Retry-After).

    Attributes:
        seconds: for how long.
    """

    def __init__(self, message: str, seconds: float) -> None:
        """Say what it answered, and how long it asked for."""
        super().__init__(f"{message}, to be asked again in {seconds:g} s")
        self.seconds = seconds


class Attempts:
    """Counts the failures of one piece of work and waits between its attempts."""

    def __init__(
        self, policy: RetryPolicy, stop: threading.Event, rng: random.Random | None = None
    ) -> None:
        """Start with no failure; ``stop`` cuts a wait short."""
        self._policy = policy
        self._stop = stop
        self._rng = rng or random.Random()  # noqa: S311  # jitter needs no secrecy
        self._row = 0
        self._total = 0

    def failed(self, error: TransportError, *, progressed: bool = False) -> None:
        """Take note of a failure and wait before the next attempt; ``progressed`` starts afresh.

        Raises:
            TransportError: there is no next attempt; says how many there were.
            StoppedError: asked to stop while waiting.
        """
        self._total += 1
        self._row = 1 if progressed else self._row + 1
        if self._row >= self._policy.attempts or self._total >= self._policy.total:
            raise TransportError(f"{error} (gave up after {self._total} attempts)") from error
        wait = self.delay()
        if isinstance(error, RetryLaterError):
            wait = max(wait, min(error.seconds, self._policy.longest_asked))
        if self._stop.wait(wait):
            raise StoppedError("stopped while waiting to try again") from error

    def delay(self) -> float:
        """Return the seconds before the next attempt: doubled each time, half of it by chance."""
        # A power of two far over the cap would be an integer of many digits, and for nothing.
        longest = min(self._policy.longest, self._policy.first * 2.0 ** min(self._row - 1, 30))
        return longest * self._rng.uniform(0.5, 1.0)
