"""The sleep timer's one grammar: the value of the data point ``sleep_timer``, read and written.

``off``; minutes from 1 to 600 (``20``); ``end``, the end of the story that plays; ``after 2``, the end
of the second story that begins from now on. GET answers what remains in the same words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from wire.errors import FieldError

# Ten hours: longer than any night's listening, and a bound for a timer that is forgotten.
MINUTES_MAX = 600
STORIES_MAX = 99
FIELD = "sleep_timer"
EXPECTED = (
    f'"off", minutes from 1 to {MINUTES_MAX}, "end", or "after N" with N from 1 to {STORIES_MAX}'
)
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


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer as it is ordered; ``amount``: its minutes, or its stories."""

    kind: TimerKind
    amount: int = 0

    def __str__(self) -> str:
        """Write the data point's value."""
        if self.kind is TimerKind.MINUTES:
            return str(self.amount)
        return f"after {self.amount}" if self.kind is TimerKind.AFTER else self.kind.value


OFF = Timer(TimerKind.OFF)
END = Timer(TimerKind.END)


# One of these is in each sentence that `wire.spoken` reads; its forms cost 60 ms of the first order.
_SAID = re.compile(
    "[停关關睡定時时分钟鐘完尾後后]|最后|别|別|stop|timer|countdown|min|hour|[0-9] ?[hm]|sleep|off|quiet|after|end|when|last|once"
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
    raise FieldError(FIELD, text, EXPECTED)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
