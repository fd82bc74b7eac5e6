"""When the power goes: at a phase of the update that was seen to begin, plus some seconds.

A phase is known by what the machine told: its events at the cloud, its lines on the serial console. So
the cuts fall into all phases however busy the host is, which moments of a clock do not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from wire.ota import OtaEvent

OVER = "over"
# These do not end an update; every other event does.
UNDER_WAY = {
    OtaEvent.BEGIN,
    OtaEvent.DOWNLOADING,
    OtaEvent.DOWNLOAD_COMPLETE,
    OtaEvent.INSTALLING,
}


class Event(NamedTuple):
    """An event of an update as the cloud keeps it; ``percent`` from 0 to 1."""

    number: int
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of a run: the update's events so far, and all that the console said."""

    events: Sequence[Event] = ()
    console: str = ""

    def heard(self, number: int, at_least: float = 0.0) -> bool:
        """Whether there was such an event, with that much done."""
        return any(e.number == number and (e.percent or 0.0) >= at_least for e in self.events)

    def said(self, words: str) -> bool:
        """Whether the console has a line with this (a regular expression)."""
        return re.search(words, self.console) is not None


# In order; one that is not seen, as the machine's restart where only the agent is replaced, is passed over.
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
    """Return those that end an update."""
    return [event.number for event in events if event.number not in UNDER_WAY]


def phase_of(signs: Signs) -> str:
    """Return the last phase that has begun, for all that is known."""
    return [name for name, has_begun in PHASES.items() if has_begun(signs)][-1]


@dataclass(frozen=True, slots=True)
class Aim:
    """The phase to cut in, and the seconds after its beginning; the phase's end comes first."""

    phase: str
    offset: float

    def is_reached(self, watch: Watch, now: float) -> bool:
        """Whether the power has to go now."""
        if _ORDER.index(watch.phase) > _ORDER.index(self.phase):
            return True
        began = watch.began.get(self.phase)
        return began is not None and now >= began + self.offset


@dataclass(slots=True)
class Watch:
    """The phases of one update as they were seen: when each began, by the host's monotonic clock."""

    began: dict[str, float] = field(default_factory=dict)

    def look(self, signs: Signs, now: float) -> None:
        """Take note of the phase that is reached."""
        phase = phase_of(signs)
        if _ORDER.index(phase) >= _ORDER.index(self.phase):
            self.began.setdefault(phase, now)

    @property
    def phase(self) -> str:
        """The last phase that was seen; the first one before any was."""
        return max(self.began, key=_ORDER.index, default=_ORDER[0])

    def lengths(self) -> dict[str, float]:
        """Return the seconds that each phase but the last took."""
        return {name: self.began[after] - self.began[name] for name, after in pairwise(self.began)}


def spread(lengths: Mapping[str, float], runs: int) -> list[Aim]:
    """Share ``runs`` among the phases in turn, and those of one phase out over its length (seconds)."""
    names = list(lengths)
    aims = []
    for number in range(runs):
        name, turn = names[number % len(names)], number // len(names)
        turns = len(range(number % len(names), runs, len(names)))
        aims.append(Aim(name, lengths[name] * (turn + 0.5) / turns))
    return aims
