"""What a rollout waits for before its next phase, how fast it goes, and what its test assumes. No I/O.

Each setting has one row in `FIELDS`: commands, console and store take its name, its range and its default from there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from staging.rollouts.evidence import Odds
from wire.errors import FieldError

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: its default, its range, whether it is a whole number, and what it means."""

    default: float
    low: float
    high: float
    whole: bool
    meaning: str

    def check(self, name: str, value: object) -> float:
        """Return a value; raises FieldError naming it."""
        kind = "a whole number" if self.whole else "a number"
        expected = f"{kind} from {self.low:.9g} to {self.high:.9g}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FieldError(name, value, expected)
        if not self.low <= value <= self.high:  # nor is one that is not finite
            raise FieldError(name, value, expected)
        if self.whole and value != int(value):
            raise FieldError(name, value, expected)
        return int(value) if self.whole else float(value)


FIELDS: Mapping[str, Field] = {
    "soak": Field(DAY_S, 0, 60 * DAY_S, True, "seconds that a phase is watched before the next one"),
    "sample": Field(100, 1, 1_000_000, True, "machines that must have ended, or all that can be reached"),
    "success": Field(98.5, 0, 100, False, "percent of them that must have the version"),
    "link": Field(90, 0, 100, False, "percent of the updated ones that must have been heard of since"),
    "hours": Field(24, 0, 10_000_000, False, "hours of updated machines without a crash, in all"),
    "sound": Field(1, 0, 500, True, "updated machines that must have played since, of those that played before"),
    "open": Field(100, 1, 1_000_000, True, "orders under way at once, at most"),
    "perMinute": Field(60, 1, 1_000_000, True, "orders begun in a minute, at most"),
    "failing": Field(10, 2, 90, False, "percent of machines on which a bad version fails"),
    "chance": Field(1, 0.01, 20, False, "percent of orders that fail though the version is good"),
    "error": Field(1, 0.01, 20, False, "percent of good versions that may be halted"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """A rollout's settings, each as its row in `FIELDS` says."""

    soak: int
    sample: int
    success: float
    link: float
    hours: float
    sound: int
    open: int
    per_minute: int
    odds: Odds


def check(given: Mapping[str, object]) -> dict[str, float]:
    """Return settings that were given; raises FieldError for a name or value that is none."""
    for name in given:
        if name not in FIELDS:
            raise FieldError(name, given[name], f"one of {', '.join(FIELDS)}")
    found = {name: FIELDS[name].check(name, value) for name, value in given.items()}
    if value_of(found, "chance") >= value_of(found, "failing"):
        raise FieldError("chance", value_of(found, "chance"), "less than failing")
    return found


def value_of(stored: Mapping[str, object], name: str) -> float:
    """Return a stored setting, or its default; what was stored by another version may be anything."""
    try:
        return FIELDS[name].check(name, stored.get(name, FIELDS[name].default))
    except FieldError:
        return FIELDS[name].default


def settings_of(stored: Mapping[str, object]) -> Settings:
    """Return the settings that are stored, with the defaults for those that are not."""

    def value(name: str) -> float:
        return value_of(stored, name)

    return Settings(
        int(value("soak")), int(value("sample")), value("success") / 100, value("link") / 100,
        value("hours"), int(value("sound")), int(value("open")), int(value("perMinute")),
        Odds(value("chance") / 100, value("failing") / 100, value("error") / 100),
    )  # fmt: skip


_DURATION = re.compile(r"([0-9]{1,9}) ?(s|m|h|d)?")
_UNITS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": DAY_S}


def parse_duration(text: str, field: str) -> int:
    """Return the seconds of ``90``, ``90s``, ``30m``, ``2h`` or ``1d``; raises FieldError."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise FieldError(field, text, "a time such as 90s, 30m, 2h or 1d")
    return int(found[1]) * _UNITS[found[2]]
