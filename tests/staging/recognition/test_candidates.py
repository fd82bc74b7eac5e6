"""What may have been said, from what was heard."""

from __future__ import annotations

import pytest

from staging.recognition.candidates import (
    ALWAYS,
    LEADS,
    LEADS_MAX,
    SENTENCES,
    SENTENCES_MAX,
    TITLES_MAX,
    candidate,
    heard_sounds,
    shortlist,
)
from staging.recognition.hearing import Hearing, Hypothesis
from staging.recognition.intents import Action, Intent, find_intent
from staging.recognition.phonetics import has_pinyin
from staging.recognition.titles import TitleIndex

needs_pinyin = pytest.mark.skipif(
    not has_pinyin(), reason="pypinyin is missing: pip install . './cloud[asr]'"
)
TITLES = ["小兔子乖乖", "两只老虎", "春天在哪里", "三只小猪", "数鸭子"]


def heard(*texts: str) -> Hearing:
    return Hearing(tuple(Hypothesis(text, -0.5) for text in texts), 0.1)


def test_each_sentence_of_the_grammar_asks_for_something() -> None:
    assert {phrase for phrase in SENTENCES if find_intent(phrase) is None} == set()
    assert set(ALWAYS) <= set(SENTENCES)
    for lead in LEADS:
        assert find_intent(f"{lead}数鸭子") == Intent(Action.PLAY, "数鸭子")


@needs_pinyin
@pytest.mark.parametrize(
    ("texts", "nearest"),
    [
        (["天主", "停直"], "停止"), (["赞停"], "暂停"), (["调高引亮"], "调高音量"), (["因量调到物"], "音量调到五"),
        (["我先等三只小兔"], "我想听三只小猪"), (["不放两具老虎"], "播放两只老虎"), (["银链", "二十分中后亭"], "二十分钟后停"),
    ],
)  # fmt: skip
def test_what_sounds_most_alike_comes_first(texts: list[str], nearest: str) -> None:
    assert shortlist(heard(*texts), TitleIndex(TITLES))[0].phrase == nearest


def test_their_number_is_bounded_and_short_words_are_always_there() -> None:
    index = TitleIndex([f"第{n}个故事{n % 7}号" for n in range(500)])
    found = shortlist(heard("播放第三个故事"), index)
    assert set(ALWAYS) <= {each.phrase for each in found}
    assert len(found) <= SENTENCES_MAX + len(ALWAYS) + TITLES_MAX * LEADS_MAX
    assert [each.distance for each in found] == sorted(each.distance for each in found)
    assert len({each.phrase for each in found}) == len(found)


def test_answers_to_an_offer_are_candidates_too() -> None:
    play = Intent(Action.PLAY, "数鸭子")
    hearing = heard("第一个")
    first = candidate("第一个", play, heard_sounds(hearing))
    assert shortlist(hearing, None, [first])[0] == first


def test_nothing_heard_has_no_candidates() -> None:
    assert shortlist(heard(), TitleIndex(TITLES)) == []
    assert shortlist(heard("，。"), TitleIndex(TITLES)) == []
