"""Until when a release is supported: until then, faults in its security are mended by newer releases.

A device reports the day in ``package_info`` (``support_end``), its doctor and the cloud's console show it. Whoever sells
the machines sets another one where a release is built, which replaces the line below (release.support), or with
``ota.support_end`` on the machine (docs/doctor.md, "Until when").
"""

from __future__ import annotations

import re
from typing import Final

from wire.errors import FieldError

# The tree's own day, five years and a month after the first release: the least that a maker who sells in the European
# Union may promise is five years of use (Regulation (EU) 2024/2847, article 13 (8)).
SUPPORT_END: Final = "2031-12-31"
_FORM = "a day such as 2031-12-31"
_DAY = re.compile("([0-9]{4})-([0-9]{2})-([0-9]{2})")
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_day(value: object, field: str) -> str:
    """Return ``value``, which names a day, YYYY-MM-DD; raises FieldError with the name ``field``."""
    found = _DAY.fullmatch(value) if isinstance(value, str) else None
    if not isinstance(value, str) or found is None or not _is_day(*map(int, found.groups())):
        raise FieldError(field, value, _FORM)
    return value


def _is_day(year: int, month: int, day: int) -> bool:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return year > 0 and 1 <= month <= 12 and 1 <= day <= _MONTHS[month - 1] + leap
