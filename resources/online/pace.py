"""How often one server of stories is asked: whatever goes wrong, and whoever asks. No I/O.

Each way to ask has pauses of its own (a transfer that breaks off, a reader that waits, a list's titles), and all of them at
once, of several titles, are still too many for a small server.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

# Requests that may follow each other at once: a list, its titles, and a child who steps through them; then one after as many seconds.
BURST, SECONDS = 40, 1.0
# Servers that are kept in mind; beyond that those that were asked longest ago are forgotten.
SERVERS_LIMIT = 64


class Pace:
    """When each server may be asked."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Have asked nobody; ``monotonic`` counts seconds."""
        self._monotonic = monotonic
        # When all that was asked of a server would have been, one after the other.
        self._until: OrderedDict[str, float] = OrderedDict()

    def wait(self, server: str, patience: float) -> float | None:
        """Return the seconds until ``server`` may be asked, and count that; None, and nothing is counted: more than ``patience``."""
        now = self._monotonic()
        until = max(now, self._until.get(server, now))
        seconds = max(0.0, until - now - (BURST - 1) * SECONDS)
        if seconds > patience:
            return None
        self._until[server] = until + SECONDS
        self._until.move_to_end(server)
        if len(self._until) > SERVERS_LIMIT:
            self._until.popitem(last=False)
        return seconds
