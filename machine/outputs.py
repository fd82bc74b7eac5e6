"""Which level each sound output gets: decisions without I/O.

The machine has one level, and all its outputs bear it, so that a change of the default output
never makes the sound louder. A level is a fraction on PulseAudio's cubic scale: 60 · log10(level)
decibels, 0.0 for silence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field, replace

from wire.records import dataclass

# Below it, two levels are the same: 0.3 dB at the quietest step. Servers and cards round.
TOLERANCE = 0.003
# Where a ramp from or to silence begins or ends: -50 dB.
FAINTEST = 10 ** (-50 / 60)
# A change up to this is a step, and needs no ramp.
STEP_DECIBELS = 2.6
RAMP_SECONDS = 0.2
# Steps of this are not heard as steps while they follow each other.
RAMP_DECIBELS = 2.5
# The largest step of a card's control that is taken for rounding.
COARSE_DECIBELS = 6.0


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a mixer, as they are at one moment.

    Attributes:
        run: text that differs for another run of the server or other cards.
        default: the key of the output that is heard, also if a filter is the default one.
        levels: the level of each output by its key; filters are none. They can exceed 1.0.
        boosts: the keys of filters and streams that make sound louder than it comes.
        is_dummy: whether the default output plays to nobody.
    """

    run: str
    default: str
    levels: Mapping[str, float]
    boosts: frozenset[str] = field(default_factory=frozenset)
    is_dummy: bool = False

    @property
    def level(self) -> float:
        """The level of the default output."""
        return self.levels[self.default]

    def only(self, others: Outputs) -> Outputs:
        """Return these outputs without those that are not among ``others``, which came later."""
        kept = {key: level for key, level in self.levels.items() if key in others.levels}
        return replace(self, levels=kept)

    def is_as(self, other: Outputs | None) -> bool:
        """Return whether these are the same outputs with the same default, at any level."""
        return (
            other is not None
            and (self.run, self.default) == (other.run, other.default)
            and self.levels.keys() == other.levels.keys()
        )


@dataclass(frozen=True, slots=True)
class Settlement:
    """What to do: ``puts`` the levels of outputs that are to be changed.

    ``level`` is the machine's level, and ``turned`` tells that somebody else has changed it (a knob,
    another program).
    """

    puts: Mapping[str, float]
    level: float
    turned: bool = False


def settle(
    now: Outputs, known: Outputs | None, kept: float | None, limit: float, *, locked: bool = False
) -> Settlement:
    """Decide the level of all outputs.

    Args:
        now: the outputs as they are.
        known: as they were when we last set or accepted their levels; None: never.
        kept: the machine's level, None if nobody has set one.
        limit: no output may be louder.
        locked: whether levels that others set are put back.
    """
    old = known.levels if known is not None and known.run == now.run else {}
    stayed = known is not None and known.default == now.default and now.default in old
    turned = stayed and not is_same(now.level, old[now.default])
    level = now.level if kept is None or (turned and not locked) else kept
    wanted = min(level, limit)
    puts = {
        key: wanted
        for key, found in now.levels.items()
        if not is_same(found, wanted)
        # A card that has rounded the level is not told again and again.
        and not (kept is not None and is_same(wanted, kept) and is_same(found, old.get(key, -1.0)))
    }
    return Settlement(puts | dict.fromkeys(now.boosts, 1.0), wanted, turned and not locked)


def is_same(one: float, other: float) -> bool:
    """Return whether two levels differ by no more than rounding."""
    return abs(one - other) <= TOLERANCE


def is_near(found: float, wanted: float) -> bool:
    """Return whether an output has taken a level as well as it can: coarse controls have steps of some dB."""
    if wanted <= 0:
        return found <= FAINTEST
    return is_same(found, wanted) or abs(decibels(found) - decibels(wanted)) <= COARSE_DECIBELS


def decibels(level: float) -> float:
    """Return a level in decibels; silence is minus infinity."""
    return 60 * math.log10(level) if level > 0 else -math.inf


def ramp(start: float, end: float, part: float) -> float:
    """Return the level at ``part`` (0.0 to 1.0) of a ramp, which is even in decibels."""
    if part >= 1 or max(start, end) <= FAINTEST:
        return end
    first, last = max(start, FAINTEST), max(end, FAINTEST)
    return float(first * (last / first) ** max(part, 0.0))


def ramp_steps(start: float, end: float, seconds: float | None) -> tuple[int, float]:
    """Return how many steps a change has, and the seconds between two of them.

    A single step of the volume is one, unless it is to take ``seconds``. No step is larger than RAMP_DECIBELS: a
    busy machine makes a ramp longer, never coarser.
    """
    change = abs(decibels(max(start, FAINTEST)) - decibels(max(end, FAINTEST)))
    if seconds is None:
        seconds = RAMP_SECONDS if change > STEP_DECIBELS else 0.0
    if not seconds:
        return 1, 0.0
    count = max(1, math.ceil(change / RAMP_DECIBELS - TOLERANCE))
    return count, seconds / count
