"""Syllables that sound alike."""

from __future__ import annotations

import pytest

from staging.recognition import phonetics

needs_pinyin = pytest.mark.skipif(
    not phonetics.has_pinyin(), reason="pypinyin is missing: pip install . './cloud[asr]'"
)


@needs_pinyin
def test_distance_of_syllables() -> None:
    def apart(left: str, right: str) -> float:
        return phonetics.distance(phonetics.sounds(left), phonetics.sounds(right))

    assert apart("暂停", "赞停") == 0
    assert 0 < apart("妈", "马") < apart("四", "十") < apart("妈", "虎") <= 1
    assert apart("妈妈", "妈") == 1
    assert apart("女", "女") == 0


@pytest.mark.parametrize(
    ("left", "right", "cost"),
    [
        (("b", "a", "1"), ("b", "a", "1"), 0.0),
        (("b", "a", "1"), ("b", "a", "4"), 0.05),
        (("z", "an", "1"), ("zh", "an", "1"), 0.25),
        (("m", "an", "1"), ("d", "an", "1"), 0.5),
        (("b", "an", "1"), ("b", "ang", "1"), 0.2),
        (("b", "a", "1"), ("b", "u", "1"), 0.5),
        (("z", "an", "1"), ("zh", "ang", "4"), 0.5),
        (("m", "a", "1"), ("d", "u", "1"), 1.0),
        (("m", "a", "1"), ("d", "u", "2"), 1.0),
        (("", "a", ""), ("", "b", ""), 1.0),
    ],
)
def test_what_differs_costs_its_part_of_a_syllable(
    left: tuple[str, str, str], right: tuple[str, str, str], cost: float
) -> None:
    sounds = phonetics.Sound(*left), phonetics.Sound(*right)
    assert phonetics.difference(*sounds) == pytest.approx(cost)
    assert phonetics.distance(sounds[:1], sounds[1:]) == pytest.approx(cost)
