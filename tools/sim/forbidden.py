"""What must not happen in a simulated world: what was refused, or is beyond a measure, and is done all the same.

It is told of requests and utterances as they come, and looks at the rest with the observer.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from tools.sim.clock import START
from wire.rules import parse_rules

if TYPE_CHECKING:
    from tools.sim.machine import Machine
    from tools.sim.promises import Promises

# Two looks are a minute apart at most; a fade and a look of the machine's are within the rest.
LISTENING_SECONDS = 150.0
DAY = 86_400.0
# The files with a day's measure and what was played of it, and with the time that its date is known by.
OF_MEASURE = ("rules.json", "played.json", "time.json")


def has_wrong_time(machine: Machine) -> bool:
    """Return whether a machine cannot know the time: its clock is ahead, or behind and the cloud told no time in this boot."""
    trusted = getattr(machine.agent, "_clock", None)
    is_told = trusted is not None and trusted.from_cloud
    return machine.wall_offset > 0 or (machine.wall_offset < 0 and not is_told)


class Forbidden:
    """Of one machine.

    Attributes:
        broken: what was done.
    """

    def __init__(self, machine: Machine, promises: Promises) -> None:
        """Know of nothing; ``promises`` has the rules and the child lock that hold."""
        self._machine, self._promises = machine, promises
        self.broken: list[str] = []
        self._utterances: list[Any] = []
        self._muted: list[tuple[Any, int]] = []
        self._measure: tuple[str, float] = ("", 0.0)
        self._sounded = self._looked_at = 0.0

    def note_by_hand(self, name: str, *, was_locked: bool) -> None:
        """Note that somebody in the room has changed something; ``was_locked``: also before."""
        is_locked = self._promises.kept.get("child_lock") == "True"
        is_known = was_locked and is_locked and not self._has_damaged("child_lock")
        if is_known and name != "child_lock":
            self.broken.append(f"{name} was changed by hand, and the child lock is on")

    # Voice.

    def note_utterance(self, utterance: Any) -> None:
        """Note that an utterance has begun."""
        self._utterances = [*self._utterances[-4:], utterance]

    def note_mute(self) -> None:
        """Note that the microphone says that it is off: nothing more of what was said goes out."""
        self._muted = [(each, each.size) for each in self._utterances]

    # At each look.

    def look(self, now: float, *, sounds: bool) -> None:
        """Look at what was sent since the microphone is off, and how long was played since the rules are known."""
        for utterance, size in self._muted:
            if utterance.size > size:
                self.broken.append("voice is sent after the microphone was told to be off")
        self._muted = [(each, size) for each, size in self._muted if each.size == size]
        passed, self._looked_at = now - self._looked_at, now
        measure = (self._promises.kept.get("rules", ""), (START + now) // DAY)
        if measure != self._measure or self._is_measure_unknown():
            self._measure, self._sounded = measure, 0.0
        elif sounds:
            self._sounded += passed
        minutes = _daily(measure[0] or "off")
        if minutes is not None and self._sounded > 60.0 * minutes + LISTENING_SECONDS:
            self.broken.append(
                f"played for {self._sounded:.0f} s, and {minutes} minutes are a day's"
            )
            self._sounded = 0.0

    def _is_measure_unknown(self) -> bool:
        """Return whether the machine has another day, or cannot keep what was played of it."""
        machine = self._machine
        refuses = machine.mount.full or machine.mount.read_only
        return has_wrong_time(machine) or refuses or self._has_damaged(*OF_MEASURE)

    def _has_damaged(self, *names: str) -> bool:
        return any(name in path for path in self._machine.damaged for name in names)


@functools.lru_cache(500)
def _daily(rules: str) -> int | None:
    """Return the minutes of a day that rules allow."""
    return parse_rules(rules).daily
