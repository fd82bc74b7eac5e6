"""The order of titles."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.titles.natural import natural_key

WIDE_10 = "\uff11\uff10"


@pytest.mark.parametrize(
    "titles",
    [
        ["Track 1", "Track 2", "track 3", "Track 10", "Track 100"],
        ["1 小兔子", "2 两只老虎", "10 春天", "小兔子"],
        ["第一集", "第2集", "第三集", f"第{WIDE_10}集", "第十一集", "第二十集", "第一百零一集"],
        ["西游记 上", "西游记 中", "西游记 下"],
        ["故事(上)", "故事(中)", "故事(下)"],
        ["星期一", "星期二", "星期三"],
        ["S1 E2 第一章", "S1 E2 第十章", "S1 E10 第一章", "S2 E1 第一章"],
        ["1.2", "1.10", "2.1"],
        ["①", "②", "⑩"],
        ["一九九九年", "二〇〇〇年"],
        ["a", "a 1", "a b"],
        ["CD1", "CD2", "CD10"],
        ["Ma\u0308rchen 1", "M\u00e4rchen 2"],
        ["1", "9" * 5000, "1" + "0" * 5000],
        ["\u0661", "\u0662", "3"],
    ],
)
def test_numbers_count_by_value_wherever_they_stand(titles: list[str]) -> None:
    shuffled = titles[:]
    for seed in range(5):
        random.Random(seed).shuffle(shuffled)
        assert sorted(shuffled, key=natural_key) == titles


@pytest.mark.parametrize(
    ("one", "other"), [("Track 01", "track 1"), ("第三集", "第3集"), ("A\u30001", "a 1")]
)
def test_spelling_is_no_difference(one: str, other: str) -> None:
    assert natural_key(one) == natural_key(other)


@pytest.mark.parametrize("word", ["千与千寻", "马背上的家", "心中的歌"])
def test_words_with_such_a_character_are_words(word: str) -> None:
    assert all(len(token) == 2 for token in natural_key(word))


@given(st.lists(st.text("a1第一十百千上中下集() \u0661零", max_size=12) | st.text(max_size=12)))
def test_any_texts_have_an_order(texts: list[str]) -> None:
    keys = [natural_key(text) for text in texts]
    backward = list(reversed(keys))
    assert sorted(keys) == sorted(backward)


@given(st.text("集 ab", max_size=5), st.integers(0, 10**6), st.integers(0, 10**6))
def test_numbers_between_the_same_words(words: str, low: int, high: int) -> None:
    keys = [natural_key(f"{words}{number}{words}") for number in (low, high)]
    assert (keys[0] < keys[1]) == (low < high)
