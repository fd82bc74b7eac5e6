"""The sleep timer's one grammar: the value of the data point ``sleep_timer``, read and written.

``off``; minutes from 1 to 600 (``20``); ``end``, the end of the story that plays; ``after 2``, the end
of the second story that begins from now on; ``at 20:30``, a local time, and ``at 08:30 or 20:30``, whichever comes
first, as somebody means who says 八点半. GET answers what remains in the same words.
"""

from __future__ import annotations

import re
from enum import StrEnum

from wire.errors import FieldError
from wire.records import dataclass

# Ten hours: longer than any night's listening, and a bound for a timer that is forgotten.
MINUTES_MAX = 600
STORIES_MAX = 99
FIELD = "sleep_timer"
EXPECTED = f'"off", minutes from 1 to {MINUTES_MAX}, "end", "after N" with N from 1 to {STORIES_MAX}, or "at HH:MM"'
DAY_MINUTES = 24 * 60
_TIME = re.compile(r"(\d{1,2}):(\d\d)", re.ASCII)
_DIGITS_MAX = 6


class TimerKind(StrEnum):
    """What a timer waits for."""

    OFF = "off"
    """Nothing: there is no timer."""
    MINUTES = "minutes"
    """A time."""
    END = "end"
    """The end of the story that plays."""
    AFTER = "after"
    """The end of the last of some stories that begin from now on."""
    AT = "at"
    """A local time of day."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer as it is ordered.

    Attributes:
        kind: what it waits for.
        amount: its minutes, or its stories.
        times: minutes of the local day, of which the first to come counts.
    """

    kind: TimerKind
    amount: int = 0
    times: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Write the data point's value."""
        if self.kind is TimerKind.AT:
            return "at " + " or ".join(map(show_time, self.times))
        if self.kind is TimerKind.MINUTES:
            return str(self.amount)
        return f"after {self.amount}" if self.kind is TimerKind.AFTER else self.kind.value


OFF = Timer(TimerKind.OFF)
END = Timer(TimerKind.END)


def show_time(minute: int) -> str:
    """Return a minute of the day as ``20:30``."""
    return f"{minute // 60:02}:{minute % 60:02}"


# One of these is in each sentence that `wire.spoken` reads; its forms cost 60 ms of the first order.
_SAID = re.compile(
    "[停关關睡定時时分钟鐘点點完尾後后]|最后|别|別|stop|timer|countdown|min|hour|[0-9] ?[hm]|sleep|off|quiet|after|end|when|last|once|until|till"
)


def may_be_said(text: str) -> bool:
    """Return whether a text may be a sentence that sets the timer: most titles are none."""
    return _SAID.search(text.lower()) is not None


def minutes(count: int, said: object = None) -> Timer:
    """Return a timer of ``count`` minutes; raises FieldError with what was ``said`` out of range."""
    if not 1 <= count <= MINUTES_MAX:
        raise FieldError(FIELD, count if said is None else said, EXPECTED)
    return Timer(TimerKind.MINUTES, count)


def after(count: int, said: object = None) -> Timer:
    """Return a timer of ``count`` more stories; raises FieldError with what was ``said`` out of range."""
    if not 1 <= count <= STORIES_MAX:
        raise FieldError(FIELD, count if said is None else said, EXPECTED)
    return Timer(TimerKind.AFTER, count)


def at(*times: int) -> Timer:
    """Return a timer for local times of day, in minutes from 0 to 1439."""
    return Timer(TimerKind.AT, times=times)


def parse_timer(text: str) -> Timer:
    """Parse the data point's value; case and blanks around it do not count. Raises FieldError."""
    words = text.lower().split()
    match words:
        case ["off"]:
            return OFF
        case ["end"]:
            return END
        case [count] if _is_count(count):
            return minutes(int(count), text)
        case ["after", count] if _is_count(count):
            return after(int(count), text)
        case ["at", time]:
            return at(_minute(time, text))
        case ["at", time, "or", other]:
            return at(_minute(time, text), _minute(other, text))
    raise FieldError(FIELD, text, EXPECTED)


def _minute(time: str, text: str) -> int:
    found = _TIME.fullmatch(time)
    hour, minute = (int(found[1]), int(found[2])) if found else (99, 99)
    if minute > 59 or hour * 60 + minute > DAY_MINUTES:
        raise FieldError(FIELD, text, EXPECTED)
    return (hour * 60 + minute) % DAY_MINUTES


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
