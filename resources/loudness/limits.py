"""The limits of the volume: the value of the data point ``volume_limits``."""

from __future__ import annotations

import re
from dataclasses import replace

from wire.errors import FieldError
from wire.records import dataclass
from wire.story_points import VOLUME_RANGE

NAME = "volume_limits"
LAST = "last"
_EXPECTED = (
    f"some of max=1..{VOLUME_RANGE.high}, min=0..{VOLUME_RANGE.high} and "
    f"start=0..{VOLUME_RANGE.high} or start={LAST}, with min <= start <= max, "
    f'as "max=12 min=0 start=6"'
)
_WORD = re.compile(r"(max|min|start)=(\d{1,2}|last)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """Steps of the volume, all included.

    Attributes:
        max: the loudest, whoever sets it.
        min: the quietest that an order may set; a knob may go below it.
        start: the volume after the machine's start, None for the one before.
    """

    max: int = VOLUME_RANGE.high
    min: int = VOLUME_RANGE.low
    start: int | None = None

    def __str__(self) -> str:
        """Return the value's text."""
        start = LAST if self.start is None else self.start
        return f"max={self.max} min={self.min} start={start}"


def parse_limits(text: str, before: Limits) -> Limits:
    """Parse the value; a limit that it does not name stays as ``before``, within the others.

    Raises:
        FieldError: an unknown word, one twice, a step that does not exist, or limits that
            contradict each other.
    """
    named: dict[str, int | None] = {}
    for word in text.split():
        found = _WORD.fullmatch(word)
        if found is None or found[1] in named:
            raise FieldError(NAME, text, _EXPECTED)
        named[found[1]] = None if found[2] == LAST else int(found[2])
    for name in ("max", "min"):
        if name in named and named[name] is None:
            raise FieldError(NAME, text, _EXPECTED)
    limits = _fit(replace(before, **named), named)  # type: ignore[arg-type]
    if not named or not _is_possible(limits):
        raise FieldError(NAME, text, _EXPECTED)
    return limits


def _fit(limits: Limits, named: dict[str, int | None]) -> Limits:
    """Move what the value does not name to where it is possible."""
    if "max" not in named:
        limits = replace(limits, max=max(limits.max, limits.min, 1))
    if "min" not in named:
        limits = replace(limits, min=min(limits.min, limits.max))
    if "start" not in named and limits.start is not None:
        limits = replace(limits, start=min(max(limits.start, limits.min), limits.max))
    return limits


def _is_possible(limits: Limits) -> bool:
    start = limits.min if limits.start is None else limits.start
    in_range = 1 <= limits.max <= VOLUME_RANGE.high
    return in_range and VOLUME_RANGE.low <= limits.min <= start <= limits.max
