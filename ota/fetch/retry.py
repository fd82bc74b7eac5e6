"""Retries: back-off with jitter, and a limit on the attempts."""

from __future__ import annotations

import random
import threading

from base.backoff import Backoff
from ota.errors import FetchError, StoppedError
from wire.records import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to retry, and after which waits.

    Attributes:
        attempts: attempts in a row without progress before giving up.
        total: attempts altogether, against a server that always breaks off after a few bytes.
        first: seconds before the second attempt; each further wait doubles, and chance takes up to half of it.
        longest: the cap on a wait, in seconds.
        longest_asked: the cap on a wait that a server asks for (Retry-After), in seconds.
    """

    attempts: int = 8
    total: int = 200
    first: float = 1.0
    longest: float = 60.0
    longest_asked: float = 3600.0


class RetryLaterError(FetchError):
    """A server asked us to retry later (HTTP Retry-After).

    Attributes:
        seconds: the wait that it asked for.
    """

    def __init__(self, message: str, seconds: float) -> None:
        """Build the message from the server's response and the wait in ``seconds``."""
        super().__init__(f"{message}, to be asked again in {seconds:g} s")
        self.seconds = seconds


class Attempts:
    """Counts the failures of one piece of work and waits between its attempts."""

    def __init__(
        self, policy: RetryPolicy, stop: threading.Event, rng: random.Random | None = None
    ) -> None:
        """Start with no failures; setting ``stop`` ends a wait early, ``rng`` gives the jitter."""
        self._policy = policy
        self._stop = stop
        jitter = rng or random.Random()  # noqa: S311  # jitter needs no secrecy
        self._backoff = Backoff(policy.longest, jitter, first=policy.first)
        self._row = 0
        self._total = 0

    def failed(self, error: FetchError, *, progressed: bool = False) -> None:
        """Count a failure and wait before the next attempt; ``progressed`` restarts the count.

        Raises:
            FetchError: no attempts are left; the message gives their number.
            StoppedError: ``stop`` was set during the wait.
        """
        self._total += 1
        self._row = 1 if progressed else self._row + 1
        if self._row >= self._policy.attempts or self._total >= self._policy.total:
            raise FetchError(f"{error} (gave up after {self._total} attempts)") from error
        if progressed:
            self._backoff.reset()
        wait = self._backoff.next()
        if isinstance(error, RetryLaterError):
            wait = max(wait, min(error.seconds, self._policy.longest_asked))
        if self._stop.wait(wait):
            raise StoppedError("stopped while waiting to try again") from error
