"""Exponential back-off with jitter; it does not sleep, so a test can simulate a year of it."""

from __future__ import annotations

import random
from dataclasses import field

from wire.records import dataclass

# The reference client's waits begin here (device protocol, "Link"); ours double to the maximum.
FIRST_SECONDS = 0.5
# Half to full length, so that after a cloud restart not all machines reconnect at once.
JITTER = 0.5


@dataclass(slots=True)
class Backoff:
    """Doubling waits (seconds) with jitter, up to ``maximum``; retries never stop.

    Attributes:
        maximum: the longest wait.
        rng: the source of the jitter.
        first: the shortest wait.
        jitter: the part of a wait (0 to 1) that chance may take away.
    """

    maximum: float
    rng: random.Random = field(default_factory=random.Random)
    first: float = FIRST_SECONDS
    jitter: float = JITTER
    _next: float = field(init=False)

    def __post_init__(self) -> None:
        self._next = self.first

    def reset(self) -> None:
        """Start again with the shortest wait, after a success."""
        self._next = self.first

    def next(self) -> float:
        """Return the seconds to wait now, and double the following wait."""
        base = min(self._next, self.maximum)
        self._next = base * 2
        return self.jittered(base)

    def jittered(self, seconds: float) -> float:
        """Return ``seconds``, randomly shortened by up to the part ``jitter``."""
        return seconds * (1 - self.jitter * self.rng.random())
