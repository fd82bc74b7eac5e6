"""Exponential back-off with jitter; it does not sleep, so a test can simulate a year of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

# The reference client's waits begin here (device protocol, "Link"); ours double to the maximum.
FIRST_SECONDS = 0.5
# Half to full length, so that after a cloud restart not all machines reconnect at once.
JITTER = 0.5


@dataclass(slots=True)
class Backoff:
    """Doubling waits (seconds) with jitter, up to ``maximum``; retries never stop."""

    maximum: float
    rng: random.Random = field(default_factory=random.Random)
    _next: float = FIRST_SECONDS

    def reset(self) -> None:
        """Start again with the shortest wait, after a success."""
        self._next = FIRST_SECONDS

    def next(self) -> float:
        """Return the seconds to wait now, and double the following wait."""
        base = min(self._next, self.maximum)
        self._next = base * 2
        return self.jittered(base)

    def jittered(self, seconds: float) -> float:
        """Return ``seconds``, randomly shortened by up to half."""
        return seconds * (1 - JITTER * self.rng.random())
