"""The titles that a machine has just offered by name, and which of them a child's next sentence chooses.

An offer holds for the next sentence only, and for `OFFER_SECONDS`. A sentence that chooses nothing is read as any
other: 播放两只老虎 and 停止 mean what they always mean.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from staging.recognition.intents import Action, Intent, find_intent, forbids, named_after_play
from staging.recognition.phonetics import Sound, distance, sounds
from staging.recognition.titles import THRESHOLD, score
from wire.sentence import normalise

# Seconds. Two names take 8 to tell, the child has 9 to begin and speaks for some; the model needs 2.
OFFER_SECONDS = 30.0
OFFERS_LIMIT = 1024
# In syllables: one confused initial or final, as for commands (`staging.recognition.intents`).
HEARD_AS_LIMIT = 0.3

_FIRST = (
    "第一个",
    "第一",
    "一",
    "第一首",
    "前一个",
    "前面那个",
    "第一个吧",
    "要第一个",
    "听第一个",
    "我要第一个",
    "我想听第一个",
)
_SECOND = (
    "第二个",
    "第二",
    "二",
    "第二首",
    "后一个",
    "后面那个",
    "第二个吧",
    "要第二个",
    "听第二个",
    "我要第二个",
    "我想听第二个",
)
_YES = (
    "是",
    "是的",
    "对",
    "对的",
    "对啊",
    "好",
    "好的",
    "好啊",
    "嗯",
    "要",
    "就是它",
    "就是这个",
    "行",
    "可以",
    "都行",
    "都可以",
    "随便",
    "好呀",
    "行啊",
)
# What is said around a choice: 那就选第二个吧.
_AROUND = re.compile("^(?:那|就|我|还是|想?要|想|听|选|放|讲)+(?=.)|[吧呀啊嘛了]+$")
_NO = ("不", "不要", "不要了", "不是", "都不是", "都不要", "不对", "不用", "不用了", "算了")  # fmt: skip


# Of those, what a recogniser listens for in the sound itself: a single syllable is in too much.
_SPOKEN_FIRST, _SPOKEN_SECOND = ("第一个", "要第一个"), ("第二个", "要第二个")
_SPOKEN_YES, _SPOKEN_NO = (
    ("是的", "好的", "好啊"),
    ("不要", "不要了", "都不是", "都不要", "不是"),
)


class Choice(Enum):
    """What a sentence says about an offer, beside a title."""

    DECLINE = "decline"


@dataclass(frozen=True, slots=True)
class _Offer:
    titles: tuple[str, ...]
    since: float


class Offers:
    """The last offer to each device; times are monotonic seconds."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, _Offer] = OrderedDict()

    def add(self, uuid: str, titles: Sequence[str], now: float) -> None:
        """Note that the device is told these titles now."""
        self._made.pop(uuid, None)
        self._made[uuid] = _Offer(tuple(titles), now)
        if len(self._made) > OFFERS_LIMIT:
            self._made.popitem(last=False)

    def take(self, uuid: str, now: float) -> tuple[str, ...]:
        """Return the titles that the next sentence may choose from; () if none were offered, or too long ago."""
        made = self._made.pop(uuid, None)
        return made.titles if made is not None and now - made.since <= OFFER_SECONDS else ()

    def look(self, uuid: str, now: float) -> tuple[str, ...]:
        """Return what `take` would, and leave the offer open."""
        made = self._made.get(uuid)
        return made.titles if made is not None and now - made.since <= OFFER_SECONDS else ()


def spoken_answers(titles: Sequence[str]) -> dict[str, Intent]:
    """Return the sentences that are listened for after an offer, and what each asks for."""
    if not titles:
        return {}
    plays = [Intent(Action.PLAY, title) for title in titles]
    answers = dict.fromkeys((*_SPOKEN_FIRST, *_SPOKEN_YES), plays[0])
    if len(plays) > 1:
        answers |= dict.fromkeys(_SPOKEN_SECOND, plays[1])
    for title, play in zip(titles, plays, strict=True):
        answers |= {normalise(title): play, "要" + normalise(title): play}
    refusals = (*_SPOKEN_NO, *("不要" + normalise(title) for title in titles))
    return answers | {word: Intent(Action.DECLINE) for word in refusals}


def choose(sentence: str, titles: Sequence[str]) -> str | Choice | None:
    """Return the title that a sentence chooses of one or two, that it declines them, or None: neither."""
    if not titles:
        return None
    text = normalise(sentence)
    if forbids(sentence) and text not in map(normalise, titles):
        return _refused(sentence, titles)
    found = _chosen(text, titles)
    bare = _AROUND.sub("", text)
    return found if found or bare == text else _chosen(bare, titles)


def _refused(sentence: str, titles: Sequence[str]) -> str | Choice | None:
    """Return what is chosen in a sentence that says what is not wanted: 不要第一个要第二个, or nothing."""
    wanted = (_chosen(name, titles) for name in named_after_play(sentence))
    found = next((each for each in wanted if each), None)
    if found or find_intent(sentence) is not None:
        return found  # 不听了 is an order
    return Choice.DECLINE


def _chosen(text: str, titles: Sequence[str]) -> str | Choice | None:
    said = sounds(text)
    if _is_any(said, _NO):
        return Choice.DECLINE
    if _is_any(said, _FIRST) or _is_any(said, _YES):
        return titles[0]
    if _is_any(said, _SECOND):
        return titles[1] if len(titles) > 1 else None
    return _named(said, titles)


def _is_any(said: tuple[Sound, ...], words: Sequence[str]) -> bool:
    """Return whether a sentence sounds like one of ``words``; of few syllables each has to be right."""
    for word in words:
        wanted = sounds(word)
        limit = HEARD_AS_LIMIT if len(wanted) > 2 else HEARD_AS_LIMIT / 3
        if len(said) == len(wanted) and distance(said, wanted) <= limit:
            return True
    return False


def _named(said: tuple[Sound, ...], titles: Sequence[str]) -> str | None:
    """Return the title that is said by its name, without a command before it."""
    ranked = sorted(titles, key=lambda title: score(said, sounds(normalise(title))))
    return ranked[0] if score(said, sounds(normalise(ranked[0]))) <= THRESHOLD else None
