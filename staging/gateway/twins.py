"""Notices two machines with one identity: a card that was copied, a profile that was flashed twice.

A device that comes back replaces its own connection, which is dead; one whose connection answered when
it was replaced is another machine. Three such answers within ten minutes are two machines that take turns.
Then the one that is connected stays, and the other is refused with the reason, so that an order
reaches one of them always. Only memory: after a restart of the cloud the two tell it again.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque

from staging.times import Monotonic

# Seconds for which a sign counts. The refused machine tries again every 150 to 300 s.
WINDOW_SECONDS = 600.0
# One may be chance: a machine that is switched off in the moment in which it is replaced.
SIGNS = 3
# Devices that are kept in mind; beyond that the oldest are forgotten.
DEVICES_LIMIT = 1000

TEXT = "another machine uses this identity: its card or profile was copied; flash one of its own"


class Twins:
    """The signs of each device, and whether they make two machines of it."""

    def __init__(self, monotonic: Monotonic = time.monotonic) -> None:
        """Start without signs; ``monotonic`` counts seconds."""
        self._monotonic = monotonic
        self._signs: OrderedDict[str, deque[float]] = OrderedDict()

    def note(self, uuid: str) -> bool:
        """Note a sign of a second machine; return whether that is what makes it certain."""
        before = self.suspects(uuid)
        self._signs.setdefault(uuid, deque(maxlen=SIGNS)).append(self._monotonic())
        self._signs.move_to_end(uuid)
        if len(self._signs) > DEVICES_LIMIT:
            self._signs.popitem(last=False)
        return self.suspects(uuid) and not before

    def suspects(self, uuid: str) -> bool:
        """Return whether two machines use this device's identity."""
        signs = self._signs.get(uuid, ())
        oldest = self._monotonic() - WINDOW_SECONDS
        return sum(sign > oldest for sign in signs) >= SIGNS
