"""Times as the open API writes them. Inside the cloud a time is UTC milliseconds since 1970, an int."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from wire.errors import FieldError

# The wall clock, in ms.
Clock = Callable[[], int]
# A monotonic clock, in seconds.
Monotonic = Callable[[], float]

_ISO_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


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


def parse_iso(text: str, field: str) -> int:
    """Parse a time that an app sent; raises FieldError that names ``field``."""
    try:
        moment = datetime.strptime(text, _ISO_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise FieldError(field, text, "a UTC time such as 2017-04-14T08:31:10Z") from error
    return int(moment.timestamp()) * 1000


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC)
