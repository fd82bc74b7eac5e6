"""What to do about a reading of the battery: decisions only, on a clock that is handed in.

One odd reading does nothing: a level counts when three readings in a row are at or below it. A warning is given once, and again
only after the charge has been well above its level. While external power is there, nothing is done.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from machine.battery import Charge
from wire.records import dataclass

READINGS = 3
# Percent above its level at which a warning may come again.
REARM_PERCENT = 5
# Percent by which the charge must have changed to tell whether it is being charged, where the gauge does not.
TREND_PERCENT = 2
# Seconds until a power-off that did not happen is ordered again, doubled up to the longest.
RETRY_SECONDS, RETRY_MAX_SECONDS = 60.0, 3600.0


class Act(Enum):
    """What is to be done."""

    WARN = "warn"
    POWER_OFF = "power off"
    PLUGGED = "external power came"
    UNPLUGGED = "external power went"


@dataclass(frozen=True, slots=True)
class Levels:
    """Percent at and below which something is done; 0: never."""

    warn: int = 15
    warn_again: int = 8
    off: int = 4


class Policy:
    """Takes readings, and tells what to do."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self._recent: deque[int] = deque(maxlen=READINGS)
        self._warned: set[int] = set()
        self._told: bool | None = None
        self._extreme: int | None = None
        self._next_off = float("-inf")
        self._retry = RETRY_SECONDS
        self.powered: bool | None = None
        """Whether external power is there, as far as it is known or can be concluded."""

    @property
    def percent(self) -> int | None:
        """The highest of the last three readings; None before there are three."""
        return max(self._recent) if len(self._recent) == READINGS else None

    def note(self, charge: Charge, now: float) -> list[Act]:
        """Take a reading at ``now`` (monotonic seconds); a reading without a charge counts for power only."""
        acts = self._note_power(charge)
        if charge.percent is not None:
            self._recent.append(charge.percent)
        if self.percent is not None:
            acts += self._judge(self.percent, now)
        return acts

    def _note_power(self, charge: Charge) -> list[Act]:
        """Note whether it is powered; only what a gauge tells is an event, a conclusion comes late."""
        self.powered = self._conclude(charge)
        if charge.powered is None:
            return []
        before, self._told = self._told, charge.powered
        if before is None or before == charge.powered:
            return []
        self._recent.clear()  # a charger lifts the voltage: what was read on it says little of the battery
        return [Act.PLUGGED if charge.powered else Act.UNPLUGGED]

    def _conclude(self, charge: Charge) -> bool | None:
        """Return whether it is powered: what the gauge tells, else whether the charge rises or falls."""
        if charge.powered is not None:
            self._extreme = charge.percent
            return charge.powered
        percent = charge.percent
        if percent is None:
            return self.powered
        if self._extreme is None:
            self._extreme = percent
        change = percent - self._extreme
        if abs(change) >= TREND_PERCENT:
            self._extreme = percent
            return change > 0
        # The turn is measured from the highest while it is charged, else from the lowest.
        self._extreme = (max if self.powered else min)(self._extreme, percent)
        return self.powered

    def _judge(self, percent: int, now: float) -> list[Act]:
        self._warned = {level for level in self._warned if percent < level + REARM_PERCENT}
        if self.powered:
            self._next_off, self._retry = float("-inf"), RETRY_SECONDS
            return []
        if 0 < self._levels.off >= percent:
            return self._power_off(now)
        due = {
            level
            for level in (self._levels.warn, self._levels.warn_again)
            if 0 < level >= percent and level not in self._warned
        }
        self._warned |= due
        return [Act.WARN] if due else []

    def _power_off(self, now: float) -> list[Act]:
        if now < self._next_off:
            return []
        self._next_off = now + self._retry
        self._retry = min(self._retry * 2, RETRY_MAX_SECONDS)
        return [Act.POWER_OFF]
