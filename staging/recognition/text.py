"""Normalises sentences for comparison: width, script, case and punctuation; parses numerals."""

from __future__ import annotations

import re
import unicodedata

# Recognisers write either script, whichever was requested; these are the characters of our
# commands.
_SIMPLIFIED = str.maketrans(
    "調聲繼續暫點兒樂聽講換曲個則這來給幫請嗎謝關掉響輕減設為變開兩萬靜吵別麼過歡對時還說讓後們"
    "歌與無國東車馬魚鳥風雲電話長門問間見貝頭愛隻貓龍龜媽爺學寶貝燈紅綠藍黃",
    "调声继续暂点儿乐听讲换曲个则这来给帮请吗谢关掉响轻减设为变开两万静吵别么过欢对时还说让后们"
    "歌与无国东车马鱼鸟风云电话长门问间见贝头爱只猫龙龟妈爷学宝贝灯红绿蓝黄",
)
# A per cent sign has a meaning; every other mark is only a pause.
_MARKS = re.compile(r"[^\w%\s]|_")
# Spaces separate words in Latin letters; between Chinese characters they mean nothing.
_SPACES = re.compile(r"(?<![a-z0-9])\s+|\s+(?![a-z0-9])")

_DIGITS = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7,
           "八": 8, "九": 9}  # fmt: skip
_UNITS = {"十": 10, "百": 100}
NUMERAL = "[零〇一二两三四五六七八九十百0-9]"


def normalise(text: str) -> str:
    """Return ``text`` in half width, lower case and simplified script, without punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_SIMPLIFIED)
    words = " ".join(_MARKS.sub(" ", folded).split())
    return _SPACES.sub("", words)


def parse_numeral(text: str) -> int | None:
    """Parse a whole number below 1000, Arabic (``15``) or Chinese (``十五``); None: it is not one."""
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= 3 else None
    if not text or any(c not in _DIGITS and c not in _UNITS for c in text):
        return None
    if not any(c in _UNITS for c in text):
        # Digit by digit, as in a telephone number: 一五 is 15.
        return int("".join(str(_DIGITS[c]) for c in text)) if len(text) <= 3 else None
    return _parse_units(text)


def _parse_units(text: str) -> int | None:
    total, digit, last_unit = 0, None, 1000
    for character in text:
        if character in _UNITS:
            unit = _UNITS[character]
            if unit >= last_unit:
                return None
            # 十五 has no digit before its 十.
            total, digit, last_unit = total + (1 if digit is None else digit) * unit, None, unit
        elif digit is not None and digit != 0:
            return None
        else:
            digit = _DIGITS[character]
    # 一百五 is 150 in speech: a last digit without a unit counts in the next lower unit.
    if digit and last_unit == _UNITS["百"] and "零" not in text:
        return total + digit * 10
    return total + (digit or 0)
