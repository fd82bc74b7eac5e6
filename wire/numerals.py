"""Numbers written in Chinese characters, as they stand in titles and sentences: 十二, 一百零五, 二〇二六.

`read_numeral` gives the longest number at a place of a text. Digits without units are read one by one
(二〇二六), and a last digit after a unit counts in the next lower one, as in speech (一百五 is 150).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

DIGITS = {"零": 0, "\N{IDEOGRAPHIC NUMBER ZERO}": 0, "一": 1, "二": 2, "两": 2, "兩": 2, "三": 3, "四": 4, "五": 5, "六": 6,
          "七": 7, "八": 8, "九": 9}  # fmt: skip
UNITS = {"十": 10, "百": 100, "千": 1000}
GROUPS = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_SCALE = {**UNITS, **GROUPS}
_ALONE = {**DIGITS, "十": 10, "廿": 20, "卅": 30}
_NUMERIC = frozenset({*DIGITS, *UNITS, *GROUPS})
# 廿一 is 21. Written out before the number is read.
_TENS = {"廿": "二十", "卅": "三十"}
_NO_CEILING = 10**12
# Characters: no number of a title is longer, and a longer run would be tried at each length.
_LONGEST = 24
_RUN = re.compile(f"[{''.join([*DIGITS, *UNITS, *GROUPS, *_TENS])}]{{1,{_LONGEST}}}")


def read_numeral(text: str, start: int = 0) -> tuple[int, int] | None:
    """Return the value of the number that begins at ``start`` and where it ends; None: there is none."""
    run = _RUN.match(text, start)
    if run is None:
        return None
    if len(run[0]) == 1:  # nearly all in titles are, and a card may have 50,000
        value = _ALONE.get(run[0])
        return None if value is None else (value, start + 1)
    for end in range(run.end(), start, -1):
        value = numeral(text[start:end])
        if value is not None:
            return value, end
    return None


def numeral(text: str) -> int | None:
    """Return the value of a text that is one number in Chinese characters, None if it is not."""
    plain = "".join(_TENS.get(character, character) for character in text)
    if not plain or not _NUMERIC.issuperset(plain):
        return None
    if DIGITS.keys() >= set(plain):
        return int("".join(str(DIGITS[character]) for character in plain[:_LONGEST]))
    try:
        return sum(_parts(plain))
    except ValueError:
        return None


def _parts(text: str) -> Iterator[int]:
    """Yield the addends of a number with units; raises ValueError where their order is none."""
    group = ceiling = _NO_CEILING
    section, digit, before = 0, None, ""
    for character in text:
        if character in DIGITS:
            if digit:
                raise ValueError(text)
            digit = DIGITS[character]
        elif character in UNITS:
            # 十五 and 一百十五 have no digit before their 十.
            count = digit if digit is not None else (1 if character == "十" else 0)
            if not count or UNITS[character] >= ceiling:
                raise ValueError(text)
            section, digit, ceiling = section + count * UNITS[character], None, UNITS[character]
        else:
            section += digit or 0
            if not section or GROUPS[character] >= group:
                raise ValueError(text)
            group = GROUPS[character]
            yield section * group
            section, digit, ceiling = 0, None, _NO_CEILING
        before = character if character not in DIGITS or not digit else before
    yield section + _last(digit, before)


def _last(digit: int | None, before: str) -> int:
    """Return what a number's last digit counts: 一百五 is 150, 一百零五 is 105."""
    return (digit or 0) * max(_SCALE.get(before, 1) // 10, 1)
