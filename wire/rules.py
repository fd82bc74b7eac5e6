"""The parents' rules' one grammar: the values of the data points ``rules`` and ``listening``, read and written.

``off``, or clauses separated by ``;``, each at most once, in any order:

- ``quiet 20:30-06:30, 12:30-14:00``: local times in which nothing plays, at most four;
- ``daily 60``: minutes of playing a day;
- ``bonus 15``: more minutes, today only;
- ``then fade`` or ``then finish``: at the limit, fade out before it (the default), or finish the story;
- ``tonight 22:00-07:00``, ``tonight free`` or ``tonight last``: other quiet hours, none, or nothing after
  this story; for the coming night only.

``listening`` has the first three, of the microphone in place of the story. A value of ``bonus`` and ``tonight`` alone keeps the other rules. What is over is left out when the value is
read, so what GET answers can be PUT back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from wire.errors import FieldError
from wire.records import dataclass

FIELD = "rules"
LISTENING = "listening"
OFF = "off"
DAY_MINUTES = 24 * 60
BONUS_MAX = 600
PERIODS_MAX = 4
EXPECTED = 'off, or clauses such as "quiet 20:30-06:30; daily 60; bonus 15; then finish; tonight 22:00-07:00"'
LISTENING_CLAUSES = ("quiet", "daily", "bonus")
LISTENING_EXPECTED = 'off, or clauses such as "quiet 20:30-06:30; daily 20; bonus 5"'
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_COUNT = re.compile("[0-9]{1,6}")
_Clause = Callable[[str, str], Any]
# How more of a clause is written.
_MORE = {"quiet": f", its periods (at most {PERIODS_MAX}) with commas between them"}


@dataclass(frozen=True, slots=True)
class Period:
    """A part of each day in local time, minutes from midnight; it spans midnight if it ends first."""

    begin: int
    end: int

    def holds(self, minute: int) -> bool:
        """Return whether a minute of the day is inside; the end is excluded."""
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end

    def __str__(self) -> str:
        """Write it as it is read."""
        return f"{show_minute(self.begin)}-{show_minute(self.end)}"


class AtLimit(StrEnum):
    """What happens to the story that plays when the time is over."""

    FADE = "fade"
    """It fades out, and is silent at the limit."""
    FINISH = "finish"
    """It is heard to its end, and no other follows."""


class Tonight(StrEnum):
    """Rules of one night that are no hours."""

    FREE = "free"
    """No quiet hours."""
    LAST = "last"
    """Nothing plays after the story that plays now."""


@dataclass(frozen=True, slots=True)
class Rules:
    """All clauses of a value; ``daily`` and ``bonus`` are minutes, None where there is no clause."""

    quiet: tuple[Period, ...] = ()
    daily: int | None = None
    bonus: int | None = None
    then: AtLimit | None = None
    tonight: Period | Tonight | None = None

    @property
    def only_today(self) -> bool:
        """Whether no clause is for other days too."""
        return not self.quiet and self.daily is None and self.then is None

    def __str__(self) -> str:
        """Write the data point's value."""
        clauses = [
            f"quiet {', '.join(map(str, self.quiet))}" if self.quiet else "",
            f"daily {self.daily}" if self.daily is not None else "",
            f"bonus {self.bonus}" if self.bonus is not None else "",
            f"then {self.then}" if self.then else "",
            f"tonight {self.tonight}" if self.tonight else "",
        ]
        return "; ".join(clause for clause in clauses if clause) or OFF


def show_minute(minute: int) -> str:
    """Write a minute of the day as 20:30."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def parse_rules(text: str) -> Rules:
    """Parse the data point's value; raises FieldError that names the clause."""
    return _parse(text, FIELD, _CLAUSES, EXPECTED)


def parse_listening(text: str) -> Rules:
    """Parse the value of ``listening``: the clauses ``quiet``, ``daily`` and ``bonus``. Raises FieldError."""
    clauses = {name: _CLAUSES[name] for name in LISTENING_CLAUSES}
    return _parse(text, LISTENING, clauses, LISTENING_EXPECTED)


def _parse(text: str, field: str, clauses: Mapping[str, _Clause], expected: str) -> Rules:
    if text.strip().lower() == OFF:
        return Rules()
    rules, seen = Rules(), set()
    for clause in text.lower().split(";"):
        name, _, value = clause.strip().partition(" ")
        if name in seen:
            raise FieldError(f"{field}.{name}", text, f"one clause{_MORE.get(name, '')}")
        if name not in clauses:
            raise FieldError(field, text, expected)
        seen.add(name)
        rules = replace(rules, **{name: clauses[name](value.strip(), f"{field}.{name}")})
    return rules


def _parse_quiet(text: str, field: str) -> tuple[Period, ...]:
    periods = tuple(_parse_period(part, field) for part in text.split(","))
    if len(periods) > PERIODS_MAX:
        raise FieldError(field, text, f"at most {PERIODS_MAX} periods")
    return periods


def _parse_period(text: str, field: str) -> Period:
    begin, _, end = text.partition("-")
    period = Period(_parse_time(begin, text, field), _parse_time(end, text, field))
    if period.begin == period.end:
        raise FieldError(field, text, "two different local times such as 20:30-06:30")
    return period


def _parse_time(text: str, period: str, field: str) -> int:
    match = _TIME.fullmatch(text.strip())
    minute = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else DAY_MINUTES + 1
    if minute > DAY_MINUTES:
        raise FieldError(field, period, "two local times such as 20:30-06:30")
    return minute % DAY_MINUTES


def _parse_minutes(text: str, field: str, high: int) -> int:
    if not _COUNT.fullmatch(text) or int(text) > high:
        raise FieldError(field, text, f"minutes from 0 to {high}")
    return int(text)


def _parse_then(text: str, field: str) -> AtLimit:
    if text not in set(AtLimit):
        raise FieldError(field, text, "one of " + ", ".join(AtLimit))
    return AtLimit(text)


def _parse_tonight(text: str, field: str) -> Period | Tonight:
    return Tonight(text) if text in set(Tonight) else _parse_period(text, field)


_CLAUSES: dict[str, _Clause] = {
    "quiet": _parse_quiet,
    "daily": lambda text, field: _parse_minutes(text, field, DAY_MINUTES),
    "bonus": lambda text, field: _parse_minutes(text, field, BONUS_MAX),
    "then": _parse_then,
    "tonight": _parse_tonight,
}
