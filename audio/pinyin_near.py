"""Which words sound like a wake word: pinyin with one syllable changed, wherever it stands in the word.

Tones are left out, and so are the sounds that many speakers do not tell apart (zh and z, n and l, in and ing …): a
machine that hears these as the word does what its speakers do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

# The initials and finals nearest to each in the mouth; of each pair of `SAME` only one would be another word.
_INITIALS: Mapping[str, str] = {
    "b": "p d", "p": "b t", "m": "n b", "f": "p", "d": "t b", "t": "d p", "g": "k d", "k": "g t", "h": "k",
    "j": "q x", "q": "j x", "x": "j q", "zh": "ch", "ch": "zh sh", "sh": "ch r", "r": "sh",
    "z": "c", "c": "z s", "s": "c", "n": "m", "l": "d", "": "h", "y": "j", "w": "h",
}  # fmt: skip
_FINALS: Mapping[str, str] = {
    "a": "o ai", "o": "ou a", "e": "ei a", "i": "e ei", "u": "ou o", "v": "i", "ai": "ei ao", "ei": "ai",
    "ao": "ou ai", "ou": "ao u", "an": "ai en", "en": "an ei", "ang": "ong eng", "eng": "ang ong",
    "ong": "ang eng", "ia": "ie iao", "ie": "ia iu", "iao": "iu ian", "iu": "iao iong", "ian": "iang ie",
    "in": "ian iu", "iang": "iong ia", "ing": "iang iong", "iong": "iang iu", "ua": "uo uai", "uo": "ua ui",
    "uai": "ui ua", "ui": "uai un", "uan": "un uai", "un": "uan ui", "uang": "uan ua", "ue": "u ie",
    "er": "e",
}  # fmt: skip
# The only initials that stand before "o" alone.
_BEFORE_O = frozenset("bpmfwy")
SAME = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("f", "h"), ("in", "ing"), ("en", "eng"))
"""What is one sound to many who speak Mandarin."""
_FOLD = dict(SAME)

# What people say all day, and a wake word must not be like: as pinyin without tones.
COMMON = (
    "xiao xin", "ni hao", "zai jian", "xie xie", "dui bu qi", "mei guan xi", "bu yao", "hao de", "kuai lai",
    "guo lai", "chi fan", "shui jiao", "ba ba", "ma ma", "nai nai", "ye ye", "ge ge", "jie jie", "di di",
    "mei mei", "bao bao", "bao bei", "xiao peng you", "tai yang", "yue liang", "xing xing", "shen me",
    "wei shen me", "zen me", "zhe ge", "na ge", "yi ge", "wo men", "ni men", "jin tian", "ming tian",
)  # fmt: skip
SYLLABLES_MIN = 3
_SYLLABLE = re.compile(
    r"(b|p|m|f|d|t|n|l|g|k|h|j|q|x|zh?|ch?|sh?|r|y|w)?"
    r"(a(?:i|o|ng?)?|e(?:i|r|ng?)?|o(?:u|ng)?|i(?:a(?:o|ng?)?|e|u|o(?:ng)?|ng?)?"
    r"|u(?:a(?:i|ng?)?|o|i|e|ng?)?|v(?:an|e|n)?)"
)


def split(syllable: str) -> tuple[str, str]:
    """Return initial and final of a syllable without its tone; raises ValueError if it is none."""
    plain = syllable.rstrip("012345").replace("ü", "v").lower()
    match = _SYLLABLE.fullmatch(plain)
    if match is None:
        raise ValueError(f"pinyin: got {syllable!r}, expected a syllable such as xing1")
    return match[1] or "", match[2]


def neighbours(syllables: Sequence[str], limit: int = 12) -> list[tuple[str, ...]]:
    """Return words like this one: each with one syllable changed everywhere, with tones as in the word.

    They are spread over the word's syllables and over initials and finals; at most ``limit``.
    """
    found: list[tuple[str, ...]] = []
    for changes in _rounds(dict.fromkeys(syllables)):
        for old, new in changes:
            word = tuple(new if each == old else each for each in syllables)
            if word not in found:
                found.append(word)
    return found[:limit]


def _rounds(distinct: Iterable[str]) -> list[list[tuple[str, str]]]:
    """Return the changes, the nearest of each syllable first."""
    each = [[(syllable, other) for other in _changed(syllable)] for syllable in distinct]
    longest = max((len(changes) for changes in each), default=0)
    return [[changes[n] for changes in each if n < len(changes)] for n in range(longest)]


def _changed(syllable: str) -> list[str]:
    initial, final = split(syllable)
    tone = syllable[len(syllable.rstrip("012345")) :]
    initials = [(other, final) for other in _INITIALS.get(initial, "").split()]
    finals = [(initial, other) for other in _FINALS.get(final, "").split()]
    turns = zip_longest(initials, finals)
    pairs = [pair for turn in turns for pair in turn if pair is not None]
    return [first + last + tone for first, last in pairs if last != "o" or first in _BEFORE_O]


def common_like(syllables: Sequence[str]) -> list[str]:
    """Return everyday words that the word has in it, or that sound like a part of it."""
    parts = [_folded(each) for each in syllables]
    found = []
    for phrase in COMMON:
        other = [_folded(each) for each in phrase.split()]
        places = range(len(parts) - len(other) + 1)
        if any(parts[at : at + len(other)] == other for at in places):
            found.append(phrase)
    return found


def _folded(syllable: str) -> tuple[str, str]:
    """Return a syllable with what many do not tell apart made one."""
    initial, final = split(syllable)
    return _FOLD.get(initial, initial), _FOLD.get(final, final)
