"""Which language a person reads, by the locale: no I/O, and nothing imported, because each command asks it first."""

from __future__ import annotations

from collections.abc import Mapping

# In the order in which POSIX ranks them (XBD 8.2).
NAMES = ("LC_ALL", "LC_MESSAGES", "LANG")


def speaks_chinese(environment: Mapping[str, str]) -> bool:
    """Return whether the locale is a Chinese one, or none (``C``, ``POSIX``), as on a machine."""
    locale = next((environment[name] for name in NAMES if environment.get(name)), "")
    plain = locale.partition(".")[0].partition("@")[0]
    return plain in {"", "C", "POSIX"} or plain.lower().startswith("zh")
