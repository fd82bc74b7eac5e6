"""CSV (RFC 4180) that a spreadsheet opens as it is meant: as UTF-8, and no cell as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

# By it a spreadsheet knows that the text is UTF-8.
MARK = "\ufeff"
# What a spreadsheet would take for the beginning of a formula; in Asian versions the wide forms too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def head(columns: Iterable[str]) -> str:
    """Return the first line, with the mark."""
    return MARK + ",".join(columns) + "\r\n"


def lines(rows: Iterable[Iterable[object]]) -> str:
    """Return lines below the first one."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([cell(each) for each in row] for row in rows)
    return text.getvalue()


def cell(value: object) -> str:
    """Return a cell; what would be a formula begins with an apostrophe."""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
