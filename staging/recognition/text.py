"""Normalises sentences for comparison: width, script, case and punctuation; parses numerals."""

from __future__ import annotations

import re

from wire.numerals import numeral
from wire.text import fold

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

# No amount that is asked for is as large; 2000 is a year.
AMOUNT_END = 1000
NUMERAL = "[零〇一二两三四五六七八九十百0-9]"


def normalise(text: str) -> str:
    """Return ``text`` in half width, lower case and simplified script, without punctuation."""
    folded = fold(text).translate(_SIMPLIFIED)
    words = " ".join(_MARKS.sub(" ", folded).split())
    return _SPACES.sub("", words)


def parse_numeral(text: str) -> int | None:
    """Parse a whole number below 1000, Arabic (``15``) or Chinese (``十五``); None: it is not one."""
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= 3 else None
    value = numeral(text)
    return value if value is not None and value < AMOUNT_END else None
