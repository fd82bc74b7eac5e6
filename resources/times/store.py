"""What timer, rules and the day's minutes leave on disk: three small files in the state folder.

A file that is damaged costs its own content, with one line in the log. The day's minutes are written
ahead: a battery that is pulled loses the child up to half a minute, and never gains one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from base.clock import EARLIEST, LIFETIME_SECONDS, Known
from base.files import fsync_path, read_record, write_atomically
from resources.times.day_book import Played
from resources.times.rules import Bonus, Kept, Night
from wire.errors import FieldError, WireError
from wire.fields import dump_object, get_int, get_object, get_string, parse_object
from wire.rules import BONUS_MAX, Rules, parse_rules

TIMER, RULES, PLAYED = "sleep_timer.json", "rules.json", "played.json"
# Seconds of playing that are written ahead, and between two writings while something plays: 120 an hour.
AHEAD_SECONDS = 30.0
FORMAT = 1
_DAY_MAX = 3_652_059
"""9999-12-31 as an ordinal."""
# Unix time. What is later cannot be (`base.clock` says so too), and has no date from the year 10000 on.
_TIME_MAX = EARLIEST + 2 * LIFETIME_SECONDS

_log = logging.getLogger(__name__)

T = TypeVar("T")


class TimesStore:
    """The three files; each method reads or writes one, and blocks."""

    def __init__(self, folder: Path, prefix: str = "") -> None:
        """Use the files in ``folder``, which exists, whose names begin with ``prefix``."""
        self._folder = folder
        self._prefix = prefix
        self._faults: dict[str, str] = {}

    def load_timer(self) -> dict[str, object]:
        """Return what `SleepTimer.restore` takes."""
        return self._load(TIMER, lambda source: get_object(source, "timer")) or {}

    def save_timer(self, timer: Mapping[str, object]) -> None:
        """Store `SleepTimer.to_json`; raises OSError."""
        self._save(TIMER, {"timer": timer} if timer else {})

    def load_rules(self) -> Kept:
        """Return the rules; of a file that cannot be read, none, and why."""
        return self._load(RULES, _parse_kept) or Kept(damaged=self._faults.get(RULES, ""))

    def save_rules(self, kept: Kept) -> None:
        """Store the rules; raises OSError. A file that cannot be read stays until there is an order in its place."""
        if kept.damaged:
            return
        self._save(RULES, {} if kept == Kept() else _kept_to_json(kept))

    def load_played(self) -> tuple[Played, Known, bool] | None:
        """Return the day's minutes, the time that was seen last, and whether it was known."""
        return self._load(PLAYED, _parse_played)

    def save_played(self, played: Played, seen: Known, *, dated: bool) -> None:
        """Store them; raises OSError."""
        self._save(
            PLAYED,
            {
                "day": played.day, "seconds": played.seconds, "unsure": played.unsure,
                "seen": {"seconds": seen.seconds, "ticks": seen.ticks, "boot": seen.boot},
                "dated": dated,
            },
        )  # fmt: skip

    def _save(self, name: str, value: Mapping[str, object]) -> None:
        if value:
            write_atomically(self._path(name), dump_object({"format": FORMAT, **value}))
        else:  # a machine without timer and rules then starts without this room
            self._path(name).unlink(missing_ok=True)
            fsync_path(self._folder)

    def _load(self, name: str, parse: Callable[[dict[str, object]], T]) -> T | None:
        try:
            return parse(parse_object(read_record(self._path(name)), name))
        except FileNotFoundError:
            pass
        except (OSError, WireError) as error:
            self._faults[name] = f"{self._prefix}{name}: {error}"
            _log.error("%s%s cannot be read, and counts as empty: %s", self._prefix, name, error)
        return None

    def _path(self, name: str) -> Path:
        return self._folder / f"{self._prefix}{name}"


def _kept_to_json(kept: Kept) -> dict[str, object]:
    bonus, night = kept.bonus, kept.night
    return {
        "rules": str(kept.rules),
        "bonus": {"minutes": bonus.minutes, "day": bonus.day} if bonus else {},
        "night": {
            "rule": str(night.rule),
            "until": night.until,
            "replaces": str(Rules(quiet=night.replaces)),
        }
        if night
        else {},
    }


def _parse_kept(source: dict[str, object]) -> Kept:
    bonus, night = get_object(source, "bonus"), get_object(source, "night")
    return Kept(
        parse_rules(get_string(source, "rules")),
        Bonus(get_int(bonus, "minutes", high=BONUS_MAX), get_int(bonus, "day", high=_DAY_MAX))
        if bonus
        else None,
        _parse_night(night) if night else None,
    )


def _parse_night(source: Mapping[str, object]) -> Night:
    text = get_string(source, "rule", path="night.")
    rules = parse_rules(f"tonight {text}")
    rule = rules.tonight
    if rule is None or str(rules) != f"tonight {text}":
        raise FieldError("night.rule", text, "a rule for one night")
    replaces = parse_rules(get_string(source, "replaces", path="night.")).quiet
    return Night(rule, _number(source, "until", _TIME_MAX), replaces)


def _parse_played(source: dict[str, object]) -> tuple[Played, Known, bool]:
    seen = get_object(source, "seen")
    return (
        Played(
            get_int(source, "day", high=_DAY_MAX),
            _number(source, "seconds"),
            _number(source, "unsure"),
        ),
        Known(
            _number(seen, "seconds", _TIME_MAX),
            _number(seen, "ticks"),
            get_string(seen, "boot", empty=True),
        ),
        source.get("dated") is True,
    )


def _number(source: Mapping[str, object], name: str, high: float = 1e12) -> float:
    value = source.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < high:
        raise FieldError(name, value, f"seconds from 0 to {high:.0f}")
    return float(value)
