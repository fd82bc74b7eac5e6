"""Notices two machines with one identity: a card that was copied, a profile that was flashed twice.

A device that comes back replaces its own connection, which is dead; one whose connection answered when
it was replaced is another machine. Three such answers within ten minutes are two machines that take turns.
Then the one that is connected stays, and the other is refused with the reason, so that an order
reaches one of them always, for as long as no ten minutes pass without a sign, such as a try of the one that is refused. Only memory: after a restart of the cloud the two tell it again.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from staging.times import Monotonic

# Seconds for which a sign counts. The refused machine tries again every 150 to 300 s: too rarely for three signs, so that once it is
# certain each one counts for itself.
WINDOW_SECONDS = 600.0
# One may be chance: a machine that is switched off in the moment in which it is replaced.
SIGNS = 3
# Devices that are kept in mind; beyond that the oldest are forgotten.
DEVICES_LIMIT = 1000

TEXT = "another machine uses this identity: its card or profile was copied; flash one of its own"


@dataclass(slots=True)
class _Signs:
    """Those of one device, in monotonic seconds, and whether they made it certain when the last one came."""

    times: deque[float] = field(default_factory=lambda: deque(maxlen=SIGNS))
    is_certain: bool = False


class Twins:
    """The signs of each device, and whether they make two machines of it."""

    def __init__(self, monotonic: Monotonic = time.monotonic) -> None:
        """Start without signs; ``monotonic`` counts seconds."""
        self._monotonic = monotonic
        self._signs: OrderedDict[str, _Signs] = OrderedDict()

    def note(self, uuid: str) -> bool:
        """Note a sign of a second machine; return whether that is what makes it certain."""
        before, now = self.suspects(uuid), self._monotonic()
        signs = self._signs.setdefault(uuid, _Signs())
        signs.times.append(now)
        is_full = len(signs.times) == SIGNS and signs.times[0] > now - WINDOW_SECONDS
        signs.is_certain = before or is_full
        self._signs.move_to_end(uuid)
        if len(self._signs) > DEVICES_LIMIT:
            self._signs.popitem(last=False)
        return signs.is_certain and not before

    def suspects(self, uuid: str) -> bool:
        """Return whether two machines use this device's identity."""
        signs = self._signs.get(uuid)
        if signs is None or not signs.is_certain:
            return False
        return signs.times[-1] > self._monotonic() - WINDOW_SECONDS
