"""How long to wait before the next try: pure, so that a test can ask for a year of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

# The reference client's waits (device protocol, "Link"); ours go on to the maximum.
FIRST_SECONDS = 0.5
# Half to full length: after a cloud restart, a city's machines do not all come back at once.
JITTER = 0.5


@dataclass(slots=True)
class Backoff:
    """Doubling waits with jitter; no end, because a machine without its cloud has nothing better to do."""

    maximum: float
    rng: random.Random = field(default_factory=random.Random)
    _next: float = FIRST_SECONDS

    def reset(self) -> None:
        """Begin anew after a success."""
        self._next = FIRST_SECONDS

    def next(self) -> float:
        """Return the seconds to wait now, and double the following wait."""
        base = min(self._next, self.maximum)
        self._next = base * 2
        return self.jittered(base)

    def jittered(self, seconds: float) -> float:
        """Return ``seconds`` shortened by up to half at random."""
        return seconds * (1 - JITTER * self.rng.random())
