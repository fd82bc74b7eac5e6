"""What a child may have said: the sentences of the grammar and titles that sound like what was heard.

A recogniser's text is rarely exact, so it only says where to look. The candidates are then compared
with the sound itself (`hearing.SpeechModel.score`), and `decision` takes one or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from staging.recognition.hearing import Hearing
from staging.recognition.intents import Action, Intent, find_intent
from staging.recognition.phonetics import Sound, apart, difference, sounds
from staging.recognition.titles import TitleIndex
from wire.sentence import normalise

_LEVELS = ("零", "一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二", "十三", "十四",
           "十五", "十六", "最大", "最小")  # fmt: skip
_MINUTES = ("五分钟", "十分钟", "十五分钟", "二十分钟", "三十分钟", "半小时", "一小时")
SENTENCES = (
    "上一首", "上一个", "下一首", "下一个", "换一首", "换一个", "暂停", "暂停播放", "停一下", "继续", "继续播放",
    "接着放", "停止", "停止播放", "别放了", "不听了", "关掉", "调高音量", "调低音量", "大声一点", "小声一点",
    "大点声", "小点声", "声音大一点", "声音小一点", "请把声音调大一点", "请把声音调小一点", "太吵了", "静音",
    *(f"音量调到{level}" for level in _LEVELS), *(f"{time}后停" for time in _MINUTES),
    "听完这个就停", "再听一个就停", "再听两个就停", "取消定时", "讲个故事", "讲一个故事", "我想听故事", "我要听故事", "放首歌", "唱首歌",
    "我想听歌", "放音乐", "随便放一个", "再来一个", "再讲一个",
)  # fmt: skip
"""Sentences as they are said; others that `intents` understands are found in the text alone."""
ALWAYS = ("暂停", "继续", "停止", "上一首", "下一首")
"""Short words, of which a recogniser often hears nothing alike: they are always compared."""
LEADS = ("播放", "我想听", "我要听", "讲一个", "放一首", "来一首", "")
"""What a child says before a title, or nothing."""
ALONE = ""
NOT_WANTED = ("不要", "别")
"""What a child says before a command that must not be carried out: compared with the nearest commands."""
# How many are compared with the sound: each costs about 4 ms for each look. Titles beyond the nearest have one lead only.
SENTENCES_MAX, TITLES_MAX, TITLES_LED, NEGATED_MAX = 26, 14, 8, 3
# Of these a child says that they are not wanted; 不要停 and 不要太吵 are orders themselves.
_NEGATED = (
    Action.NEXT,
    Action.PREVIOUS,
    Action.VOLUME_UP,
    Action.VOLUME_DOWN,
    Action.RESTART,
)
# More syllables that a candidate does not have say no more.
LEFT_OVER_MAX = 6
# Characters of a text that are looked at; a recogniser may repeat itself endlessly.
TEXT_MAX = 24


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may have been said, and what it asks for; a title is the catalogue's."""

    phrase: str
    intent: Intent
    distance: float
    """From the most similar text that was heard: 0.0 the same, 1.0 nothing in common."""
    syllables: int
    title_distance: float = 0.0
    """The same for the title alone; 0.0 of a sentence without one."""
    worst_syllable: float = 0.0
    """How different the title's worst syllable is from the best text: 虫儿爬 is not 虫儿飞; 0.0 to 1.0."""
    left_over: int = 0
    """Syllables that were heard beyond its own: those of 下一个路口往左走 are not of 下一个."""
    expected: bool = False
    """Whether the machine has just asked for it: an answer to an offer."""


def shortlist(
    hearing: Hearing, index: TitleIndex | None, more: Iterable[Candidate] = ()
) -> list[Candidate]:
    """Return the candidates that are worth a comparison with the sound, the nearest first.

    ``more`` are compared in any case: answers to an offer.
    """
    heard = heard_sounds(hearing)
    if not heard:
        return []
    found = [*more, *_sentences(heard), *(_titles(heard, index) if index else ())]
    spoken = syllables_spoken(heard)
    unique = {
        each.phrase: replace(each, left_over=max(0, min(spoken - each.syllables, LEFT_OVER_MAX)))
        for each in reversed(found)
    }
    return sorted(unique.values(), key=lambda candidate: candidate.distance)


def syllables_spoken(heard: Sequence[Sequence[Sound]]) -> int:
    """Return how many syllables were said at least: of four texts one may be shorter."""
    counts = sorted(_once(text) for text in heard)
    return counts[len(counts) // 4] if counts else 0


def _once(text: Sequence[Sound]) -> int:
    """Return the length of a text without its repetitions: a recogniser often writes a short word twice."""
    for period in range(1, len(text) // 2 + 1):
        if all(sound == text[place % period] for place, sound in enumerate(text)):
            return period
    return len(text)


def heard_sounds(hearing: Hearing) -> list[tuple[Sound, ...]]:
    """Return the syllables of each text, without those that occur twice."""
    texts = (normalise(hypothesis.text)[:TEXT_MAX] for hypothesis in hearing.hypotheses)
    return [sounds(text) for text in dict.fromkeys(texts) if text]


def candidate(phrase: str, intent: Intent, heard: Sequence[Sequence[Sound]]) -> Candidate:
    """Return a sentence as a candidate."""
    said = sounds(normalise(phrase))
    return Candidate(phrase, intent, nearest(said, heard), len(said))


def nearest(said: Sequence[Sound], heard: Sequence[Sequence[Sound]]) -> float:
    """Return how far ``said`` is from the most similar stretch of a text, 0.0 to 1.0."""
    return min((apart(said, text) for text in heard), default=1.0)


def _sentences(heard: Sequence[Sequence[Sound]]) -> list[Candidate]:
    found = [candidate(phrase, intent, heard) for phrase, intent in _grammar()]
    found.sort(key=lambda each: each.distance)
    kept = found[:SENTENCES_MAX] + [each for each in found if each.phrase in ALWAYS]
    commands = [each for each in kept if each.intent.action in _NEGATED][:NEGATED_MAX]
    nothing = Intent(Action.NOTHING)
    return kept + [
        candidate(no + each.phrase, nothing, heard) for each in commands for no in NOT_WANTED
    ]


@cache
def _grammar() -> tuple[tuple[str, Intent], ...]:
    read = ((phrase, find_intent(phrase)) for phrase in SENTENCES)
    return tuple((phrase, intent) for phrase, intent in read if intent is not None)


def _titles(heard: Sequence[Sequence[Sound]], index: TitleIndex) -> list[Candidate]:
    first = min((lead for lead in LEADS if lead), key=lambda lead: nearest(sounds(lead), heard))
    usual = dict.fromkeys((LEADS[0], first, ALONE))
    found = []
    for place, match in enumerate(index.near(heard, TITLES_MAX)):
        worst = worst_syllable(sounds(normalise(match.title)), heard)
        for lead in usual if place < TITLES_LED else (first,):
            phrase = lead + normalise(match.title)
            said = sounds(phrase)
            intent = Intent(Action.PLAY, match.title)
            apart_by = nearest(said, heard)
            found.append(Candidate(phrase, intent, apart_by, len(said), match.score, worst))
    return found


def worst_syllable(said: Sequence[Sound], heard: Sequence[Sequence[Sound]]) -> float:
    """Return how different the worst syllable of ``said`` is where a text is most like it, in the best text."""
    return min((_worst(said, text) for text in heard), default=1.0)


def _worst(said: Sequence[Sound], text: Sequence[Sound]) -> float:
    """Return the worst syllable's difference in the stretch that differs least in all; a missing one is 1.0."""
    if not text or not said:
        return 1.0
    stretches = (
        text[first : first + len(said)] for first in range(max(1, len(text) - len(said) + 1))
    )
    parts = ([difference(*pair) for pair in zip(said, each, strict=False)] for each in stretches)
    whole = (part + [1.0] * (len(said) - len(part)) for part in parts)
    return min((sum(part), max(part)) for part in whole)[1]
