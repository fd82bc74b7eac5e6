"""How a word is asked for: what is refused is asked for again, with its reason in the family's language."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from agent.voice import wake_texts as texts
from agent.voice.wake_enrol import EnrolError, record_takes, syllables_of, warnings
from audio.embedding import Point
from audio.wake_card import Doubt
from audio.wake_take import Flaw
from resources.announce.settings import Language
from tests.audio.test_wake_match import OTHER, close_to, points
from tests.audio.test_wake_take import recording

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TRIES_EACH = 3

ZH, EN = Language.CHINESE, Language.ENGLISH
GOOD, QUIET = recording(1.2, 5000), bytes(64000)
ANOTHER = recording(1.3, 5000)


class ScriptedEmbedder:
    """Gives the same word's points for each sound but `ANOTHER`."""

    def __init__(self) -> None:
        self._seed = 0

    def reset(self) -> None:
        self._seed += 1

    def add(self, sound: bytes) -> list[Point]:
        count = len(sound) // 2560
        return OTHER[:count] if sound == ANOTHER else close_to(points(1, count), 0.01, self._seed)


def record(*sounds: bytes, count: int = 3, language: Language = EN) -> tuple[int, list[str]]:
    """Return how many takes came of these sounds, and what was said meanwhile."""
    given: Iterator[bytes] = iter(sounds)
    said: list[str] = []
    takes = record_takes(
        "w", count, lambda: next(given, b""), ScriptedEmbedder(), said.append, language  # type: ignore[arg-type]
    )  # fmt: skip
    return len(takes), said


def test_good_takes_are_all_that_is_asked_for() -> None:
    count, said = record(GOOD, GOOD, GOOD)
    assert count == 3
    assert said == [x for n in (1, 2, 3) for x in (f"{n} of 3: say “w” after the tone.", "Good.")]


@pytest.mark.parametrize(
    ("sound", "flaw"), [(QUIET, Flaw.QUIET), (b"", Flaw.NOTHING), (ANOTHER, Flaw.UNLIKE)]
)
def test_a_bad_take_is_asked_for_again_with_its_reason(sound: bytes, flaw: Flaw) -> None:
    count, said = record(GOOD, sound, GOOD, GOOD)
    assert count == 3
    assert texts.FLAWS[flaw][EN] in said
    assert sum(line.startswith("2 of 3") for line in said) == 2


def test_it_is_given_up_and_says_after_how_many() -> None:
    with pytest.raises(EnrolError, match=f"{3 * TRIES_EACH} takes"):
        record()


def test_a_family_hears_its_own_language() -> None:
    _count, said = record(QUIET, GOOD, GOOD, GOOD, language=ZH)
    assert "太轻了" in said[1]


def test_every_text_is_there_in_both_languages_with_the_same_places() -> None:
    tables = [v for v in vars(texts).values() if isinstance(v, dict) and ZH in v]
    for table in [*tables, *texts.FLAWS.values(), *texts.DOUBTS.values()]:
        fields = [set(re.findall(r"{(\w+)", table[language])) for language in (ZH, EN)]
        assert fields[0] == fields[1]
    assert set(texts.FLAWS) == set(Flaw)
    assert set(texts.DOUBTS) == set(Doubt)


def test_how_a_name_is_said_is_typed_or_known() -> None:
    assert syllables_of("whatever", "xiao3 gu4 shi4") == ["xiao3", "gu4", "shi4"]
    assert syllables_of("小故事") == ["xiao3", "gu4", "shi4"]
    assert syllables_of("Tom!") == []
    with pytest.raises(EnrolError, match="pinyin: got"):
        syllables_of("小", "no pinyin!")


def test_a_name_is_warned_of_before_it_is_said() -> None:
    assert "short" in warnings("小星", ["xiao3", "xing1"], EN)[0]
    assert "xiao xin" in warnings("小星小星", ["xiao3", "xing1"] * 2, EN)[0]
    assert "--pinyin" in warnings("Tom", [], EN)[0]
    assert warnings("故事故事", ["gu4", "shi4"] * 2, EN) == []
