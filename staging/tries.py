"""How often something may be tried: some times freely, then after waits that double. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from staging.times import Monotonic

# Keys that are remembered; beyond it the one that tried longest ago is forgotten.
KEYS_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one key may do.

    Attributes:
        free: tries without a wait.
        first: seconds of the wait after them, doubled with each try.
        longest: seconds of the longest wait.
        forget: seconds without a try after which everything is forgotten.
    """

    free: int
    first: float
    longest: float
    forget: float = 3600.0


@dataclass(slots=True)
class _Record:
    count: int
    last: float
    before: float
    """When the try before the last one was."""


class Tries:
    """Counts the tries of each key."""

    def __init__(self, allowance: Allowance, clock: Monotonic) -> None:
        """Start without tries; ``clock`` returns seconds and is monotonic."""
        self._allowance = allowance
        self._clock = clock
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def wait(self, key: str, longest: float | None = None) -> float:
        """Return the seconds until the next try of ``key``; 0: now. ``longest`` shortens the longest wait."""
        record = self._find(key)
        if record is None or record.count < self._allowance.free:
            return 0.0
        limit = self._allowance.longest if longest is None else longest
        # More doublings than this exceed every limit, and would overflow in the end.
        doublings = min(record.count - self._allowance.free, 30)
        wait = min(limit, self._allowance.first * 2.0**doublings)
        return max(0.0, wait - (self._clock() - record.last))

    def count(self, key: str) -> None:
        """Count a try, before it is known how it ends."""
        record = self._find(key)
        if record is None:
            record = self._records[key] = _Record(0, 0.0, 0.0)
        record.count += 1
        record.before, record.last = record.last, self._clock()
        self._records.move_to_end(key)
        while len(self._records) > KEYS_LIMIT:
            self._records.popitem(last=False)

    def refund(self, key: str) -> None:
        """Take back the last try, which was a good one: the wait goes on from the one before.

        Of tries side by side it is another one's time that goes back, by the moment that lies between them.
        """
        record = self._find(key)
        if record is not None:
            record.count -= 1
            record.last = record.before
            if record.count <= 0:
                del self._records[key]

    def forget(self, key: str) -> None:
        """Forget all tries of ``key``."""
        self._records.pop(key, None)

    def _find(self, key: str) -> _Record | None:
        record = self._records.get(key)
        if record is not None and self._clock() - record.last >= self._allowance.forget:
            del self._records[key]
            return None
        return record
