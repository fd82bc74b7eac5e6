"""What the device is told about an utterance: an outcome in, the answer out (docs/adr/0031). No I/O."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache

from staging.recognition.kinds import Kind
from staging.recognition.outcomes import Outcome
from staging.recognition.phonetics import has_pinyin
from wire.answers import TEXT_LIMIT, TITLE_LIMIT, TITLES_MAX, Result, Title, UtteranceAnswer
from wire.text import cleaned

RESULTS: Mapping[Kind, Result] = {
    Kind.DONE: Result.DONE,
    Kind.NOT_UNDERSTOOD: Result.NOT_UNDERSTOOD,
    Kind.NOT_FOUND: Result.NOT_FOUND,
    Kind.REFUSED_BY_DEVICE: Result.REFUSED,
    Kind.NOT_SUPPORTED: Result.REFUSED,
    Kind.DEVICE_OFFLINE: Result.FAILED,
    Kind.FAILED: Result.FAILED,
}
# Seconds for which an utterance waits for a sentence that somebody types; the device tells no later answer.
WAITING_SECONDS = 60.0
WAITING_LIMIT = 1024
# As `wire.answers` reads them; a few rare characters have other readings.
_SYLLABLE = re.compile("[a-zü]+[1-5]?")
_NUMERALS = str.maketrans("0123456789", "零一二三四五六七八九")


def answer_of(outcome: Outcome) -> UtteranceAnswer | None:
    """Return the answer to the utterance that an outcome belongs to, None if it belongs to none."""
    if outcome.utterance is None:
        return None
    result = RESULTS[outcome.kind]
    nearest = outcome.nearest[:TITLES_MAX] if result is Result.NOT_FOUND else ()
    titles = tuple(
        Title(cleaned(title), said(title)) for title in nearest if len(title) <= TITLE_LIMIT
    )
    text = cleaned(outcome.text or "")[:TEXT_LIMIT]
    return UtteranceAnswer(outcome.utterance, result, titles, text)


@lru_cache(maxsize=1024)
def said(title: str) -> str:
    """Return how the Chinese characters of a title are said, as syllables with tone numbers.

    "" for a title without any, and where pypinyin (the extra ``[asr]``) is missing.
    """
    if not has_pinyin():
        return ""
    from pypinyin import Style, lazy_pinyin  # noqa: PLC0415  # of the extra

    spoken = title.translate(_NUMERALS) if not title.isascii() else ""
    syllables = lazy_pinyin(spoken, style=Style.TONE3, neutral_tone_with_five=True, errors="ignore")
    return " ".join(filter(_SYLLABLE.fullmatch, syllables))


class Waiting:
    """The last utterance of each device that waits for a typed sentence; times are monotonic seconds."""

    def __init__(self) -> None:
        self._since: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def add(self, uuid: str, utterance: int, now: float) -> None:
        """Note that an utterance has ended which nobody recognises."""
        self._since.pop(uuid, None)
        self._since[uuid] = (utterance, now)
        if len(self._since) > WAITING_LIMIT:
            self._since.popitem(last=False)

    def take(self, uuid: str, now: float) -> int | None:
        """Return the utterance that a sentence typed now belongs to, None if none waits any more."""
        utterance, since = self._since.pop(uuid, (None, now))
        return utterance if now - since <= WAITING_SECONDS else None
