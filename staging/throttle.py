"""A throttle on password guessing, for every page on which a user enters a password.

No I/O; the caller says when an attempt failed or succeeded.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from staging.times import Monotonic
from wire.text import fold

# Room for a few typing errors; an attacker gets at most 60 attempts per hour and account.
FAILURES_PER_NAME = 5
FAILURES_PER_ADDRESS = 20
FAILURE_WINDOW_SECONDS = 300.0
# Names and addresses that are remembered; beyond it the one that failed longest ago is forgotten.
KEYS_LIMIT = 10_000


class Throttle:
    """Counts failed logins by account name and by address, in a sliding window.

    The console and the consent page have one each.
    """

    def __init__(self, clock: Monotonic) -> None:
        """Start without failures; ``clock`` returns seconds and is monotonic."""
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait_seconds(self, name: str, address: str) -> float:
        """Return the seconds until another attempt is allowed; 0: now."""
        return max(
            self._wait(("name", fold(name)), FAILURES_PER_NAME),
            self._wait(("address", address), FAILURES_PER_ADDRESS),
        )

    def failed(self, name: str, address: str) -> None:
        """Count a failure."""
        for key in (("name", fold(name)), ("address", address)):
            times = self._failures.setdefault(key, deque(maxlen=FAILURES_PER_ADDRESS))
            times.append(self._clock())
            self._failures.move_to_end(key)
        while len(self._failures) > KEYS_LIMIT:
            self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """Reset an account's failures; those of the address are kept."""
        self._failures.pop(("name", fold(name)), None)

    def _wait(self, key: tuple[str, str], limit: int) -> float:
        times = self._failures.get(key)
        if times is None:
            return 0.0
        while times and self._clock() - times[0] >= FAILURE_WINDOW_SECONDS:
            times.popleft()
        if not times:
            del self._failures[key]
            return 0.0
        if len(times) < limit:
            return 0.0
        return FAILURE_WINDOW_SECONDS - (self._clock() - times[-limit])
