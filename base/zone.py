"""The time zone in which the machine judges hours: its own, or one of the settings.

A machine whose root is read-only, or on which nobody can log in, has no other way to be told. Without any zone, and
with one that is not there, the C library counts in UTC and says nothing: `in_force` says it.
"""

from __future__ import annotations

import os
import re
import time
from datetime import tzinfo
from pathlib import Path

from wire.errors import FieldError
from wire.records import dataclass

ZONES = Path("/usr/share/zoneinfo")
LOCALTIME = Path("/etc/localtime")
UTC = frozenset(
    {"UTC", "Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Universal", "Zulu"}
)
EXPECTED = "a zone of the time zone database such as Asia/Shanghai"
# RFC 8536, section 3.1.
_MAGIC = b"TZif"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,3}")
# What the process was started with.
_GIVEN = os.environ.get("TZ")


@dataclass(frozen=True, slots=True)
class Zone:
    """The zone in force.

    Attributes:
        name: as the database has it; what is known of it where it has no name.
        missing: what was to be in force, and is not there; hours are UTC's then, or the machine's own.
    """

    name: str
    missing: str = ""

    @property
    def is_utc(self) -> bool:
        """Whether hours are UTC's."""
        return self.name in UTC


def check_zone(text: str, field: str) -> str:
    """Return the name of a zone; raises FieldError for what can be none. Whether the machine has it, `has` tells."""
    if not _NAME.fullmatch(text):
        raise FieldError(field, text, EXPECTED)
    return text


def has(name: str) -> bool:
    """Return whether this machine knows the zone ``name``."""
    return _NAME.fullmatch(name) is not None and _is_zone(ZONES / name)


def use(name: str) -> None:
    """Judge hours in the zone ``name`` from now on; empty, or one that is not there: in the machine's own."""
    own = _GIVEN
    if own is not None and Path(own.removeprefix(":")) == LOCALTIME:
        own = None  # the same zone, but the C library would never look at the file again
    wanted = name if has(name) else own
    if wanted is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = wanted
    time.tzset()


def of(name: str) -> tzinfo | None:
    """Return the rules of the zone ``name``; None for an empty one, or one that is not there: those of the process."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415  # the agent itself leaves it to the C library

    return ZoneInfo(name) if has(name) else None


def in_force(name: str) -> Zone:
    """Return the zone that is in force after `use` of ``name``."""
    if has(name):
        return Zone(name)
    missing = name
    given = (_GIVEN or "").removeprefix(":")
    if _GIVEN is not None and Path(given) != LOCALTIME:
        return _given(given, missing)
    if not _is_zone(LOCALTIME):
        return Zone("UTC", missing or str(LOCALTIME))
    target = os.path.realpath(LOCALTIME)
    base = f"{os.path.realpath(ZONES)}/"
    return Zone(target.removeprefix(base) if target.startswith(base) else _shown(), missing)


def _given(name: str, missing: str) -> Zone:
    """Return the zone of the variable TZ, which may be empty, a file, or a rule (POSIX.1, section 8.3)."""
    if not name:
        return Zone("UTC", missing)
    if has(name):
        return Zone(name, missing)
    if name.startswith("/"):
        return Zone(_shown(), missing) if _is_zone(Path(name)) else Zone("UTC", missing or name)
    is_rule = any(letter.isdigit() for letter in name)
    return Zone(name, missing) if is_rule else Zone("UTC", missing or name)


def _shown() -> str:
    return time.tzname[0]


def _is_zone(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False
