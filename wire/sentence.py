"""Sentences, spoken or typed, in the one form in which commands are looked for in them.

The device reads its spoken orders in it (`wire.spoken`), and so does the cloud's recognition.
"""

from __future__ import annotations

import re

from wire.text import fold

# Recognisers write either script, whichever was requested; these are the characters of our
# commands.
_SIMPLIFIED = str.maketrans(
    "調聲繼續暫點兒樂聽講換曲個則這來給幫請嗎謝關掉響輕減設為變開兩萬靜吵別麼過歡對時還說讓後們"
    "歌與無國東車馬魚鳥風雲電話長門問間見貝頭愛隻貓龍龜媽爺學寶貝燈紅綠藍黃鐘條結當閉現覺動機篇節",
    "调声继续暂点儿乐听讲换曲个则这来给帮请吗谢关掉响轻减设为变开两万静吵别么过欢对时还说让后们"
    "歌与无国东车马鱼鸟风云电话长门问间见贝头爱只猫龙龟妈爷学宝贝灯红绿蓝黄钟条结当闭现觉动机篇节",
)
# A per cent sign has a meaning; every other mark is only a pause.
_MARKS = re.compile(r"[^\w%\s]|_")
# Spaces separate words in Latin letters; between Chinese characters they mean nothing.
_SPACES = re.compile(r"(?<![a-z0-9])\s+|\s+(?![a-z0-9])")


def normalise(text: str) -> str:
    """Return ``text`` in half width, lower case and simplified script, without punctuation."""
    folded = fold(text).translate(_SIMPLIFIED)
    words = " ".join(_MARKS.sub(" ", folded).split())
    return _SPACES.sub("", words)
