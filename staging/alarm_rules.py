"""When an alarm begins and ends: pure, on what was seen of devices and versions.

An alarm begins when something is wrong and ends when it has been right for `HOLD_MS`: what comes and goes within that
is one alarm, not many. Between the two thresholds of a figure an alarm stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any

from wire.errors import FieldError

HOLD_MS = 10 * 60_000
# Alarms of one kind that may be open; what more there is is told as a number.
OPEN_LIMIT = 500


class Kind(StrEnum):
    """What is wrong."""

    OFFLINE = "offline"
    """A device was not heard for long."""
    VERSION = "version"
    """Updates to a version fail."""
    BATTERY = "battery"
    """A device's battery is low."""
    CLONE = "clone"
    """Two machines use a device's identity."""


class Sight(Enum):
    """How something looks."""

    BAD = "bad"
    BETWEEN = "between"
    """Not bad enough to begin an alarm, not good enough to end one."""


Key = tuple[str, str]
"""A kind and a subject."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that is not right."""

    kind: Kind
    subject: str
    sight: Sight = Sight.BAD
    detail: Mapping[str, Any] = field(default_factory=dict)
    device_id: int | None = None

    @property
    def key(self) -> Key:
        """Its kind and subject."""
        return self.kind, self.subject


@dataclass(slots=True)
class Changes:
    """What becomes of alarms."""

    begin: list[Seen] = field(default_factory=list)
    clear: list[Key] = field(default_factory=list)
    """Right again, since now."""
    again: list[Key] = field(default_factory=list)
    """Wrong again before they ended."""
    end: list[Key] = field(default_factory=list)
    surplus: dict[Kind, int] = field(default_factory=dict)
    """How many of a kind could not begin, since too many are open."""


def step(
    opened: Mapping[Key, int | None], seen: Iterable[Seen], now: int, limit: int = OPEN_LIMIT
) -> Changes:
    """Return what becomes of alarms.

    Args:
        opened: the open alarms, and since when each is right again (ms); None: it is not.
        seen: everything that is not right; what is not in it is.
        now: the time, ms.
        limit: open alarms of one kind.
    """
    looks = {each.key: each for each in seen}
    changes = Changes()
    for key, since in opened.items():
        look = looks.get(key)
        if look is not None:
            if since is not None and look.sight is Sight.BAD:
                changes.again.append(key)
        elif since is None:
            changes.clear.append(key)
        elif now - since >= HOLD_MS:
            changes.end.append(key)
    room = {kind: limit - sum(key[0] == kind for key in opened) for kind in Kind}
    for key, look in sorted(looks.items()):
        if key in opened or look.sight is not Sight.BAD:
            continue
        if room[look.kind] > 0:
            room[look.kind] -= 1
            changes.begin.append(look)
        else:
            changes.surplus[look.kind] = changes.surplus.get(look.kind, 0) + 1
    return changes


@dataclass(frozen=True, slots=True)
class Settings:
    """When something is wrong; 0 turns the kind off."""

    offline_minutes: int = 1440
    """A device that somebody has, or that is under development, was not heard for so long."""
    battery_percent: int = 15
    """So low; it is right again at ten more."""
    failing_percent: int = 20
    """So many of the updates of a day fail; it is right again at half of it."""
    failing_updates: int = 5
    """Fewer updates of a day say nothing."""
    clone: int = 1
    """Whether two machines with one identity are told."""
    allow_private: int = 0
    """Whether webhooks may reach addresses of this network (a receiver of one's own)."""


LIMITS: Mapping[str, range] = {
    "offline_minutes": range(525_601),
    "battery_percent": range(91),
    "failing_percent": range(101),
    "failing_updates": range(1, 1_000_001),
    "clone": range(2),
    "allow_private": range(2),
}


def check_setting(name: str, value: int) -> None:
    """Refuse a setting that is none; raises FieldError."""
    if name not in LIMITS:
        raise FieldError("setting", name, f"one of {', '.join(LIMITS)}")
    if value not in LIMITS[name]:
        raise FieldError(
            name, value, f"a number from {LIMITS[name].start} to {LIMITS[name].stop - 1}"
        )
