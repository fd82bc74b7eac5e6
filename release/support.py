"""The day until which a build is supported. Whoever sells the machines decides it, and sets it where the release is built.

``SUPPORT_END=2033-06-30`` for `make deb`, `make image` and `story-release build` (docs/doctor.md, "Until when"); without it
the build has the tree's own day. It is written into the packed copy of `wire.support`, so that no start reads a file for it.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

from release.errors import ReleaseToolError
from wire.errors import FieldError
from wire.support import parse_day

VARIABLE = "SUPPORT_END"
FILE = "wire/support.py"
# What a maker who sells in the European Union promises at least (Regulation (EU) 2024/2847, article 13 (8)).
LEAST_YEARS = 5
_LINE = re.compile(r'^(SUPPORT_END: Final = )"([^"]*)"$', re.MULTILINE)


def check_day(day: str, built: int) -> str:
    """Return ``day`` (YYYY-MM-DD), which a build of ``built`` (Unix seconds) can promise; raises FieldError."""
    made = datetime.fromtimestamp(built, UTC).date()
    if date.fromisoformat(parse_day(day, VARIABLE)) < made:
        raise FieldError(VARIABLE, day, f"a day after the build's, {made}")
    return day


def is_short(day: str, built: int) -> bool:
    """Return whether less than `LEAST_YEARS` lie between the build and the end of the support."""
    made, end = datetime.fromtimestamp(built, UTC).date(), date.fromisoformat(day)
    return (end.year - LEAST_YEARS, end.month, end.day) < (made.year, made.month, made.day)


def read_day(tree: Path) -> str:
    """Return the day that the packages below ``tree`` have; raises ReleaseToolError, OSError."""
    return _find(tree / FILE, (tree / FILE).read_text("utf-8"))[2]


def with_day(tree: Path, day: str) -> str:
    """Return the text of `FILE` below ``tree`` with another day; raises ReleaseToolError, OSError."""
    text = (tree / FILE).read_text("utf-8")
    found = _find(tree / FILE, text)
    return f'{text[: found.start()]}{found[1]}"{day}"{text[found.end() :]}'


def _find(path: Path, text: str) -> re.Match[str]:
    lines = list(_LINE.finditer(text))
    if len(lines) != 1:
        raise ReleaseToolError(f'{path}: {len(lines)} lines SUPPORT_END: Final = "…", expected one')
    return lines[0]
