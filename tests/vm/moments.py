"""The moments of the power cuts: some seconds after the detected start of a phase of the update.

A phase is detected from the machine's events in the cloud and its lines on the serial console, so that
the cuts fall into all phases however busy the host is. Fixed times would not do this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from wire.ota import OtaEvent

OVER = "over"
# All other events end an update.
UNDER_WAY = {
    OtaEvent.BEGIN,
    OtaEvent.DOWNLOADING,
    OtaEvent.DOWNLOAD_COMPLETE,
    OtaEvent.INSTALLING,
}


class Event(NamedTuple):
    """An event of an update as stored in the cloud; ``percent`` from 0 to 1."""

    number: int
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class Signs:
    """The observations of a run: the update's events so far, and the whole console output."""

    events: Sequence[Event] = ()
    console: str = ""

    def heard(self, number: int, at_least: float = 0.0) -> bool:
        """Whether there was an event with this number and at least this percentage (0 to 1)."""
        return any(e.number == number and (e.percent or 0.0) >= at_least for e in self.events)

    def said(self, words: str) -> bool:
        """Whether a regular expression is found in the console output."""
        return re.search(words, self.console) is not None


# In order; phases that do not occur are skipped (the machine's restart, if only the agent is replaced).
PHASES: Mapping[str, Callable[[Signs], bool]] = {
    "check": lambda _signs: True,
    "download": lambda signs: signs.heard(OtaEvent.DOWNLOADING),
    "install": lambda signs: signs.heard(OtaEvent.INSTALLING),
    "switch": lambda signs: signs.heard(OtaEvent.INSTALLING, 1.0),
    "restart": lambda signs: signs.said(r"ota\.updater: update \S+ restarting into"),
    "first boot": lambda signs: signs.said(r"reboot: Restarting system"),
    "confirm": lambda signs: signs.said(r"ota\.updater: update \S+ was at \w+: TRIAL"),
    OVER: lambda signs: bool(finals(signs.events)),
}
_ORDER = list(PHASES)


def finals(events: Iterable[Event]) -> list[int]:
    """Return the numbers of the events that end an update."""
    return [event.number for event in events if event.number not in UNDER_WAY]


def phase_of(signs: Signs) -> str:
    """Return the last phase that has begun, according to the observations."""
    return [name for name, has_begun in PHASES.items() if has_begun(signs)][-1]


@dataclass(frozen=True, slots=True)
class Aim:
    """The phase to cut in, and the seconds after its start; a phase that ends earlier is cut at its end."""

    phase: str
    offset: float

    def is_reached(self, watch: Watch, now: float) -> bool:
        """Whether to cut the power now."""
        if _ORDER.index(watch.phase) > _ORDER.index(self.phase):
            return True
        began = watch.began.get(self.phase)
        return began is not None and now >= began + self.offset


@dataclass(slots=True)
class Watch:
    """The detected phases of one update: the start of each, by the host's monotonic clock."""

    began: dict[str, float] = field(default_factory=dict)

    def look(self, signs: Signs, now: float) -> None:
        """Record the current phase."""
        phase = phase_of(signs)
        if _ORDER.index(phase) >= _ORDER.index(self.phase):
            self.began.setdefault(phase, now)

    @property
    def phase(self) -> str:
        """The last phase that was detected, initially the first phase."""
        return max(self.began, key=_ORDER.index, default=_ORDER[0])

    def lengths(self) -> dict[str, float]:
        """Return the duration in seconds of each phase but the last."""
        return {name: self.began[after] - self.began[name] for name, after in pairwise(self.began)}


def spread(lengths: Mapping[str, float], runs: int) -> list[Aim]:
    """Divide ``runs`` among the phases in turn; spread those of one phase over its length (seconds)."""
    names = list(lengths)
    aims = []
    for number in range(runs):
        name, turn = names[number % len(names)], number // len(names)
        turns = len(range(number % len(names), runs, len(names)))
        aims.append(Aim(name, lengths[name] * (turn + 0.5) / turns))
    return aims
