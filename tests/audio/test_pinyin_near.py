"""Which words sound like a wake word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.pinyin_near import COMMON, common_like, neighbours, split

WORD = ("xiao3", "gu4", "shi4", "xiao3", "gu4", "shi4")


@pytest.mark.parametrize(
    ("syllable", "parts"),
    [
        ("xiao3", ("x", "iao")),
        ("shi4", ("sh", "i")),
        ("an1", ("", "an")),
        ("nü3", ("n", "v")),
        ("yi", ("y", "i")),
    ],
)
def test_a_syllable_has_an_initial_and_a_final(syllable: str, parts: tuple[str, str]) -> None:
    assert split(syllable) == parts


@pytest.mark.parametrize("text", ["", "小", "x1", "hello world", "3"])
def test_what_is_no_syllable_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="pinyin: got"):
        split(text)


def test_one_syllable_is_changed_wherever_it_stands() -> None:
    for other in neighbours(WORD):
        changed = {(old, new) for old, new in zip(WORD, other, strict=True) if old != new}
        assert len(changed) == 1
        assert other[:3] == other[3:]


def test_all_syllables_are_changed_before_one_is_changed_twice() -> None:
    first = neighbours(WORD)[:3]
    places = [next(n for n in range(3) if word[n] != WORD[n]) for word in first]
    assert sorted(places) == [0, 1, 2]


@pytest.mark.parametrize(
    ("word", "same"),
    [("zhu1", "zu1"), ("shi4", "si4"), ("nan2", "lan2"), ("xing1", "xin1"), ("fei1", "hei1")],
)
def test_what_many_do_not_tell_apart_is_no_other_word(word: str, same: str) -> None:
    assert (same,) not in neighbours((word,), 50)


def test_everyday_words_in_a_name_are_found_also_in_an_accent() -> None:
    assert common_like(["xiao3", "xin1", "xiao3", "xin1"]) == ["xiao xin"]
    assert "xiao xin" in common_like(["xiao3", "xing1", "xiao3", "xing1"])
    assert common_like(["gu4", "shi4", "gu4", "shi4"]) == []
    assert common_like([]) == []


@given(
    st.lists(st.sampled_from([part for phrase in COMMON for part in phrase.split()]), max_size=6)
)
def test_neighbours_are_words_of_the_same_length_and_never_the_word(word: list[str]) -> None:
    found = neighbours(word)
    assert len(found) == len(set(found)) <= 12
    assert tuple(word) not in found
    for other in found:
        assert len(other) == len(word)
        for syllable in other:
            split(syllable)
