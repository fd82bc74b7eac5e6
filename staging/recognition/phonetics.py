"""Measures how similar two sentences sound: an edit distance over Mandarin syllables.

With pypinyin (the extra ``[asr]``), characters are compared by syllable, and syllables that
recognisers and dialects confuse cost less. Without it, characters are compared as such, which is
good enough for typed sentences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

# Costs, as fractions of a completely wrong syllable. They are chosen so that the mistakes in
# docs/recognition.md cost under a third of a title, and unrelated titles over two thirds.
TONE_COST = 0.05
NEAR_INITIAL_COST, INITIAL_COST = 0.25, 0.5
NEAR_FINAL_COST, FINAL_COST = 0.2, 0.5

_SYLLABLE = re.compile(r"([zcs]h|[bpmfdtnlgkhjqxzcsryw])?([a-zê]+)([1-5])")
_NEAR_INITIALS = frozenset(
    frozenset(pair.split())
    for pair in ("z zh", "c ch", "s sh", "n l", "l r", "f h", "b p", "d t", "g k", "j q", "j zh",
                 "q ch", "x sh", "x s", "z c", "zh ch")
)  # fmt: skip
_NEAR_FINALS = frozenset(
    frozenset(pair.split())
    for pair in ("an ang", "en eng", "in ing", "uan uang", "ian iang", "ai uai", "a ia", "o uo",
                 "e uo", "un en", "ong eng", "i v", "ou uo", "u v", "ei ui", "ie ian", "a ua")
)  # fmt: skip
_ARABIC = str.maketrans("0123456789", "零一二三四五六七八九")


@dataclass(frozen=True, slots=True)
class Sound:
    """The sound of one character; one that is not Chinese has only a ``final``."""

    initial: str
    final: str
    tone: str


def has_pinyin() -> bool:
    """Return whether pypinyin is installed."""
    return _reader() is not None


def sounds(text: str) -> tuple[Sound, ...]:
    """Return one Sound for each character of normalised text."""
    spoken = text.translate(_ARABIC)
    reader = _reader()
    syllables = reader(spoken) if reader else list(spoken)
    return tuple(_sound(syllable) for syllable in syllables)


def distance(left: Sequence[Sound], right: Sequence[Sound]) -> float:
    """Return the edit distance in syllables; 0.0: they sound the same."""
    return _edit(left, right, free_ends=False)


def distance_within(part: Sequence[Sound], whole: Sequence[Sound]) -> float:
    """Return the distance between ``part`` and the most similar stretch of ``whole``."""
    return _edit(part, whole, free_ends=True)


def apart(part: Sequence[Sound], whole: Sequence[Sound]) -> float:
    """Return how far ``part`` is from the most similar stretch of ``whole``: 0.0 to 1.0."""
    if not part:
        return 1.0
    return min(1.0, distance_within(part, whole) / len(part))


def difference(left: Sound, right: Sound) -> float:
    """Return how different two syllables sound, from 0.0 to 1.0."""
    return _difference(left, right)


def _edit(left: Sequence[Sound], right: Sequence[Sound], *, free_ends: bool) -> float:
    row = [0.0 if free_ends else float(n) for n in range(len(right) + 1)]
    for count, ours in enumerate(left, start=1):
        diagonal, row[0] = row[0], float(count)
        for column, theirs in enumerate(right, start=1):
            replaced = diagonal + _difference(ours, theirs)
            diagonal = row[column]
            row[column] = min(replaced, row[column] + 1, row[column - 1] + 1)
    return min(row) if free_ends else row[-1]


@lru_cache(maxsize=65536)
def _difference(left: Sound, right: Sound) -> float:
    if left == right:
        return 0.0
    # A letter or an unknown character has no initial and no tone, so there is no partial match.
    if not (left.tone and right.tone):
        return 1.0
    cost = _part(left.initial, right.initial, _NEAR_INITIALS, NEAR_INITIAL_COST, INITIAL_COST)
    cost += _part(left.final, right.final, _NEAR_FINALS, NEAR_FINAL_COST, FINAL_COST)
    return min(1.0, cost + (TONE_COST if left.tone != right.tone else 0.0))


def _part(
    left: str, right: str, near: frozenset[frozenset[str]], near_cost: float, cost: float
) -> float:
    if left == right:
        return 0.0
    return near_cost if frozenset((left, right)) in near else cost


@lru_cache(maxsize=4096)
def _sound(syllable: str) -> Sound:
    match = _SYLLABLE.fullmatch(syllable)
    if match is None:
        return Sound("", syllable, "")
    initial, final, tone = match[1] or "", match[2], match[3]
    # After j, q, x and y, pinyin writes ü as u.
    if initial in ("j", "q", "x", "y") and final.startswith("u"):
        final = "v" + final[1:]
    return Sound(initial, final, tone)


class _Reader:
    """Converts characters to syllables with pypinyin; other characters stay as they are."""

    def __init__(self) -> None:
        # Imported here, because it may be missing and takes 0.15 s.
        from pypinyin import Style, pinyin  # noqa: PLC0415

        self._style = Style.TONE3
        self._pinyin: Callable[..., list[list[str]]] = pinyin

    def __call__(self, text: str) -> list[str]:
        read = self._pinyin(
            text, style=self._style, neutral_tone_with_five=True, v_to_u=False, errors=list
        )
        return [choices[0] for choices in read]


@cache
def _reader() -> _Reader | None:
    try:
        return _Reader()
    except ImportError:
        return None
