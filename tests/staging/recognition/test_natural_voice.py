"""The alphabet in which the natural voice of the recognition set reads; its models are not of the project."""

from __future__ import annotations

import pytest

from benchmarks.natural_voice import phones
from staging.recognition.phonetics import has_pinyin

pytestmark = pytest.mark.skipif(
    not has_pinyin(), reason="pypinyin is missing: pip install . './cloud[asr]'"
)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("下一首", "x ia4 #0 ^ i1 #0 sh ou3"),
        ("停止", "t ing2 #0 zh iii3"),
        ("儿子", "^ er2 #0 z ii5"),
        ("日月", "r iii4 #0 ^ ve4"),
        ("四十", "s ii4 #0 sh iii2"),
        ("玩水", "^ uan2 #0 sh uei3"),
        ("旅游", "l v3 #0 ^ iou2"),
        ("", ""),
    ],
)
def test_a_sentence_is_read_in_initials_and_rhymes(text: str, read: str) -> None:
    assert " ".join(phones(text)) == f"sil {read} sil".replace("  ", " ")
