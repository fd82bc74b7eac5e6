"""Times as the open API writes them. Inside the cloud a time is UTC milliseconds since 1970, an int."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from wire.errors import FieldError

# The wall clock, in ms.
Clock = Callable[[], int]
# A monotonic clock, in seconds.
Monotonic = Callable[[], float]

_ISO_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_ISO = re.compile(
    r"(?P<second>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?"
    r"(?:[Zz]|(?P<sign>[-+ ])(?P<hours>[0-9]{2})(?::?(?P<minutes>[0-5][0-9]))?)"
)


def now_ms() -> int:
    """Return the wall clock in milliseconds."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """Render a time as the open API does: ``2017-06-07T02:46:30Z``."""
    return _utc(ms).strftime(_ISO_FORMAT)


def iso_or_none(ms: int | None) -> str | None:
    """Render a time, or return None for None."""
    return None if ms is None else iso(ms)


def log_time(ms: int) -> str:
    """Render a time as at the start of an ``eventLog`` line: ``2017-04-10 10:26:02``, UTC."""
    return _utc(ms).strftime("%Y-%m-%d %H:%M:%S")


def parse_iso(text: str, field: str) -> tuple[int, bool]:
    """Parse a time that an app sent: ``2017-04-14T08:31:10Z``, with milliseconds or an offset too.

    JavaScript's ``toISOString()`` has milliseconds. The ``+`` of an offset that an app did not encode arrives as
    a space. A time without a zone is refused: the document's are UTC, and an app's local time would be meant as often.

    Returns the time in ms, and whether it names a whole second and no fraction of it.

    Raises:
        FieldError: not a time; it names ``field``.
    """
    found = _ISO.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        moment = datetime.fromisoformat(f"{found['second']}{_offset(found)}")
        ms = int(moment.timestamp()) * 1000 + int((found["fraction"] or "0")[:3].ljust(3, "0"))
    except (ValueError, OverflowError) as error:
        expected = "a UTC time such as 2017-04-14T08:31:10Z, or with an offset such as +08:00"
        raise FieldError(field, text, expected) from error
    return ms, found["fraction"] is None


def _offset(found: re.Match[str]) -> str:
    if found["sign"] is None:
        return "+00:00"
    sign = "-" if found["sign"] == "-" else "+"
    return f"{sign}{found['hours']}:{found['minutes'] or '00'}"


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC)
