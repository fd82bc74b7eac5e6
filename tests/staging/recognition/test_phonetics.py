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
