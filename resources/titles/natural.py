"""The order in which a person lists titles: numbers by their value, wherever they stand.

Digits of any script and width count, and so do Chinese numerals (第三集 before 第十集) and the parts of
a story (上, 中, 下). Case and width do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wire.numerals import read_numeral
from wire.text import fold

Token = tuple[int, int, str] | tuple[int, str]
Key = tuple[Token, ...]
"""Compares with other keys only; a number sorts before text in the same place."""

_NUMBER, _TEXT = 0, 1
# A part of a story: 西游记 上, (中), 下集. Elsewhere 上 belongs to a word.
_PARTS = {"上": "1", "中": "2", "下": "3"}
_PART = r"[上中下](?=[集部册篇卷回)\]]|$)"
_CHINESE = "[零〇一二两兩三四五六七八九十百千万萬廿卅]"
_NUMERIC = re.compile(rf"\d+|{_PART}|{_CHINESE}")


def natural_key(text: str) -> Key:
    """Return the key that sorts ``text`` in natural order."""
    return folded_key(fold(text))


def folded_key(folded: str) -> Key:
    """Return the key of a text that is folded already (`wire.text.fold`)."""
    return tuple(_tokens(folded))


def _tokens(text: str) -> Iterator[Token]:
    begin = place = 0
    while found := _NUMERIC.search(text, place):
        digits, place = _read(text, found)
        if not digits:
            continue
        if found.start() > begin:
            yield _TEXT, text[begin : found.start()]
        # Compared by length first: a run of digits may be too long for int().
        yield _NUMBER, len(digits), digits
        begin = place
    if begin < len(text):
        yield _TEXT, text[begin:]


def _read(text: str, found: re.Match[str]) -> tuple[str, int]:
    """Return a number's digits without leading zeros and its end; no digits if it is none (千与千寻)."""
    token = found[0]
    if token.isdecimal():
        digits = token if token.isascii() else "".join(str(int(digit)) for digit in token)
        return digits.lstrip("0") or "0", found.end()
    if token in _PARTS:
        return _PARTS[token], found.end()
    read = read_numeral(text, found.start())
    return ("", found.end()) if read is None else (str(read[0]), read[1])
