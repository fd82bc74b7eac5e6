"""The night's limit of the volume, by local time: the value of the data point ``night``."""

from __future__ import annotations

import re
from datetime import datetime

from wire.errors import FieldError
from wire.records import dataclass
from wire.story_points import VOLUME_RANGE

NAME = "night"
OFF = "off"
DAY_MINUTES = 24 * 60
DAY_SECONDS = DAY_MINUTES * 60
_EXPECTED = f'"HH:MM-HH:MM max=0..{VOLUME_RANGE.high}", as "21:00-06:30 max=5", or "{OFF}"'
_FORM = re.compile(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d) max=(\d{1,2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Night:
    """From ``begins`` to ``ends``, minutes of the local day, the volume is at most ``max``.

    The clock on the wall decides, as it does for a family: on the night when it is put back, the
    hour that comes twice is judged twice in the same way.
    """

    begins: int
    ends: int
    max: int

    def __str__(self) -> str:
        """Return the value's text."""
        return f"{_show(self.begins)}-{_show(self.ends)} max={self.max}"

    def holds(self, local: datetime | None) -> bool:
        """Return whether it is night at ``local``; None, the time is unknown, counts as night.

        Too quiet at noon is a nuisance, too loud at night is what the limit is there to prevent.
        """
        if local is None:
            return True
        minute = local.hour * 60 + local.minute
        if self.begins < self.ends:
            return self.begins <= minute < self.ends
        return minute >= self.begins or minute < self.ends

    def seconds_to_edge(self, local: datetime) -> float:
        """Return the seconds until it begins or ends next, if no clock is put forward or back."""
        now = local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6
        # At the edge itself, the next one counts.
        return min(
            (edge * 60 - now) % DAY_SECONDS or DAY_SECONDS for edge in (self.begins, self.ends)
        )


def parse_night(text: str) -> Night | None:
    """Parse the value; None is "off". Raises FieldError."""
    words = " ".join(text.lower().split())
    if words == OFF:
        return None
    found = _FORM.fullmatch(words)
    if found is None:
        raise FieldError(NAME, text, _EXPECTED)
    hour, minute, end_hour, end_minute, loudest = map(int, found.groups())
    begins, ends = hour * 60 + minute, end_hour * 60 + end_minute
    possible = max(begins, ends) <= DAY_MINUTES and max(minute, end_minute) < 60
    night = Night(
        begins % DAY_MINUTES, ends % DAY_MINUTES, loudest
    )  # 24:00 is 00:00, as in `rules`
    if not possible or night.begins == night.ends or loudest > VOLUME_RANGE.high:
        raise FieldError(NAME, text, _EXPECTED)
    return night


def show_night(night: Night | None) -> str:
    """Return the value's text."""
    return OFF if night is None else str(night)


def _show(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
