"""Tells two machines with one identity apart behind a broker, which shows no connections. No I/O.

A machine names the run of its agent: a random word, new at each start. A run that comes back after
another run was there can be no restart: two machines take turns. Once that is certain
(`staging.gateway.twins`), the machine that was there last keeps its place, and the other is refused.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

# Seconds for which the place of a machine that went offline is kept: the other one's try has pushed
# it off the broker, and it comes back within seconds. A refused machine tries again after 150 s or later.
PLACE_SECONDS = 120.0
# Runs of a device that are remembered: as many machines with one identity are told apart.
RUNS_LIMIT = 4
# Devices that are kept in mind; beyond that the oldest are forgotten.
DEVICES_LIMIT = 100_000


@dataclass(slots=True)
class _Place:
    """Who was there, the last one last, and since when it is offline (monotonic seconds)."""

    runs: deque[str] = field(default_factory=lambda: deque(maxlen=RUNS_LIMIT))
    offline_since: float | None = None


class Rivals:
    """The runs that were seen of each device."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start without any; ``monotonic`` counts seconds."""
        self._monotonic = monotonic
        self._places: OrderedDict[str, _Place] = OrderedDict()

    def note_online(self, uuid: str, run: str) -> bool:
        """Note that a run of a device is online; return whether that shows a second machine."""
        if not run:
            return False  # a machine that does not name its runs
        place = self._places.setdefault(uuid, _Place())
        self._places.move_to_end(uuid)
        if len(self._places) > DEVICES_LIMIT:
            self._places.popitem(last=False)
        place.offline_since = None
        if place.runs and place.runs[-1] == run:
            return False
        is_back = run in place.runs
        if is_back:
            place.runs.remove(run)
        place.runs.append(run)
        return is_back

    def note_offline(self, uuid: str) -> None:
        """Note that a device went offline."""
        place = self._places.get(uuid)
        if place is not None and place.offline_since is None:
            place.offline_since = self._monotonic()

    def holds_another(self, uuid: str, run: str) -> bool:
        """Return whether another run than this one has the device's place."""
        place = self._places.get(uuid)
        if not run or place is None or place.runs[-1] == run:
            return False
        since = place.offline_since
        return since is None or self._monotonic() - since < PLACE_SECONDS
