"""Records a wake word: asks for takes until enough of them are good, and learns the word from them.

Pure but for what records: a test, the command line's files and a microphone are the same to it. What was said lives
in memory until its points are computed; no sound is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from agent.voice import wake_texts as texts
from audio.embedding import Embedder
from audio.pinyin_near import SYLLABLES_MIN, common_like, split
from audio.wake_take import Take, TakeError, check_like, find_word, take_of
from resources.announce.settings import Language

# For each take that is wanted, how many may be refused before it is given up.
TRIES_EACH = 3

Record = Callable[[], bytes]
"""Returns what was said after the tone: 16,000 samples/s, mono, signed 16 bit."""
Say = Callable[[str], None]


class EnrolError(Exception):
    """The word was not recorded; the message says why, in the family's language."""


def record_takes(
    name: str,
    count: int,
    record: Record,
    embedder: Embedder,
    say: Say,
    language: Language,
    before: Sequence[Take] = (),
) -> list[Take]:
    """Return ``count`` good takes, of which ``before`` are recorded already; raises EnrolError."""
    takes = list(before)
    tries = (count - len(takes)) * TRIES_EACH
    for _ in range(tries):
        say(texts.SAY[language].format(number=len(takes) + 1, count=count, name=name))
        try:
            takes.append(_judge(record(), takes, embedder))
        except TakeError as error:
            say(texts.FLAWS[error.flaw][language])
            continue
        say(texts.GOOD[language])
        if len(takes) == count:
            return takes
    raise EnrolError(texts.GIVEN_UP[language].format(tries=tries - len(takes) + len(before)))


def _judge(sound: bytes, takes: Sequence[Take], embedder: Embedder) -> Take:
    span = find_word(sound)
    embedder.reset()
    take = take_of(embedder.add(sound), span)
    check_like(take, takes)
    return take


def syllables_of(name: str, typed: str = "") -> list[str]:
    """Return the syllables of a name with their tones, as they were typed or as pypinyin reads it.

    Nothing if neither can tell. Raises EnrolError if what was typed is no pinyin.
    """
    words = typed.split()
    if not words and find_spec("pypinyin") is not None:
        from pypinyin import Style, lazy_pinyin  # noqa: PLC0415  # of the extra [wake]

        words = lazy_pinyin(name, style=Style.TONE3, neutral_tone_with_five=True)
    try:
        for word in words:
            split(word)
    except ValueError as error:
        if typed:
            raise EnrolError(str(error)) from error
        return []
    return words


def warnings(name: str, syllables: Sequence[str], language: Language) -> list[str]:
    """Return what speaks against a name before anybody has said it."""
    if not syllables:
        return [texts.NO_PINYIN[language].format(name=name)]
    found = []
    if len(syllables) < SYLLABLES_MIN:
        found.append(texts.SHORT_NAME[language].format(name=name))
    if words := common_like(syllables):
        found.append(texts.COMMON[language].format(name=name, words=", ".join(words)))
    return found
