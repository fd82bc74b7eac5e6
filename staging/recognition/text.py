"""Reads the amounts in sentences; the sentences are normalised by `wire.sentence`."""

from __future__ import annotations

from wire.numerals import numeral

# No amount that is asked for is as large; 2000 is a year.
AMOUNT_END = 1000
NUMERAL = "[零〇一二两三四五六七八九十百0-9]"


def parse_numeral(text: str) -> int | None:
    """Parse a whole number below 1000, Arabic (``15``) or Chinese (``十五``); None: it is not one."""
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= 3 else None
    value = numeral(text)
    return value if value is not None and value < AMOUNT_END else None
