"""Which causes of an outage are worth a line in the log: a cloud may be away for years, and the card is small.

Each cause is logged once, and again a day later; causes that take turns, as those of a flapping network do, are no
news each time. Those that never repeat are few a day.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

DAY_SECONDS = 86400.0
# Lines of one outage in a day: more causes than a network has.
DAY_LIMIT = 16


class OutageLog:
    """What was logged of one outage."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Count on ``clock``, in seconds that only grow."""
        self._clock = clock
        self._told: OrderedDict[str, float] = OrderedDict()

    def is_news(self, text: str) -> bool:
        """Return whether a cause is logged now, and count it."""
        now = self._clock()
        while self._told and now - next(iter(self._told.values())) >= DAY_SECONDS:
            self._told.popitem(last=False)
        if text in self._told or len(self._told) >= DAY_LIMIT:
            return False
        self._told[text] = now
        return True

    def over(self) -> None:
        """The link is up: the next outage tells its causes anew."""
        self._told.clear()
