"""What may have been said, from what was heard."""

from __future__ import annotations

from collections import Counter

import pytest

from staging.recognition.candidates import (
    ALWAYS,
    LEADS,
    NOT_WANTED,
    SENTENCES,
    candidate,
    heard_sounds,
    shortlist,
    syllables_spoken,
)
from staging.recognition.hearing import Hearing, Hypothesis
from staging.recognition.intents import Action, Intent, find_intent
from staging.recognition.phonetics import has_pinyin
from staging.recognition.titles import TitleIndex

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
NEGATED_MAX = 3
SENTENCES_MAX = 26
TITLES_MAX = 14
TITLES_LED = 8

needs_pinyin = pytest.mark.skipif(
    not has_pinyin(), reason="pypinyin is missing: pip install . './cloud[asr]'"
)
TITLES = ["小兔子乖乖", "两只老虎", "春天在哪里", "三只小猪", "数鸭子"]


def heard(*texts: str) -> Hearing:
    return Hearing(tuple(Hypothesis(text, -0.5) for text in texts), 0.1)


def test_each_sentence_of_the_grammar_asks_for_something() -> None:
    assert {phrase for phrase in SENTENCES if find_intent(phrase) is None} == set()
    assert set(ALWAYS) <= set(SENTENCES)
    for lead in filter(None, LEADS):
        assert find_intent(f"{lead}数鸭子") == Intent(Action.PLAY, "数鸭子")


@needs_pinyin
@pytest.mark.parametrize(
    ("texts", "nearest"),
    [
        (["天主", "停直"], "停止"), (["赞停"], "暂停"), (["调高引亮"], "调高音量"), (["因量调到物"], "音量调到五"),
        (["我先等三只小兔"], "三只小猪"), (["不放两具老虎"], "两只老虎"), (["银链", "二十分中后亭"], "二十分钟后停"),
    ],
)  # fmt: skip
def test_what_sounds_most_alike_comes_first(texts: list[str], nearest: str) -> None:
    assert shortlist(heard(*texts), TitleIndex(TITLES))[0].phrase == nearest


def test_their_number_is_bounded_and_short_words_are_always_there() -> None:
    index = TitleIndex([f"第{n}个故事{n % 7}号" for n in range(500)])
    found = shortlist(heard("播放第三个故事"), index)
    assert set(ALWAYS) <= {each.phrase for each in found}
    negated = NEGATED_MAX * len(NOT_WANTED)
    assert len(found) <= SENTENCES_MAX + len(ALWAYS) + negated + TITLES_MAX + TITLES_LED * 2
    assert [each.distance for each in found] == sorted(each.distance for each in found)
    assert len({each.phrase for each in found}) == len(found)


@needs_pinyin
def test_the_fourteen_nearest_titles_are_there_and_the_eight_nearest_with_other_words_before() -> (
    None
):
    index = TitleIndex([f"第{n}个故事{n % 7}号" for n in range(500)])
    found = shortlist(heard("播放第三个故事"), index)
    titles = Counter(each.intent.title for each in found if each.intent.action is Action.PLAY)
    assert len(titles) == TITLES_MAX
    assert sum(count > 1 for count in titles.values()) == TITLES_LED


def test_three_commands_have_their_negations_beside_them() -> None:
    found = shortlist(heard("播放第三个故事"), None)
    negated = [each for each in found if each.intent.action is Action.NOTHING]
    assert len(negated) == NEGATED_MAX * len(NOT_WANTED)


@needs_pinyin
@pytest.mark.parametrize(
    ("texts", "left_over"),
    [
        (["下一首"], 0), (["下一首下一首"], 0), (["下一首下一"], 2), (["下一个路口往左走"] * 2, 5), (["停"], 0), (["下一手", "下一个路口往左走"], 0),
        (["夏天的风吹过田野上的花朵和小草"], 6),
    ],
)  # fmt: skip
def test_what_was_said_beside_a_candidate_is_counted(texts: list[str], left_over: int) -> None:
    (found,) = (each for each in shortlist(heard(*texts), None) if each.phrase == "下一首")
    assert found.left_over == left_over


def test_nothing_heard_has_no_syllables() -> None:
    assert syllables_spoken([]) == 0


def test_what_may_be_negated_is_compared_with_its_negation() -> None:
    found = {each.phrase: each.intent for each in shortlist(heard("下一首"), None)}
    assert found["不要下一首"] == found["别下一首"] == Intent(Action.NOTHING)
    assert not {"不要停止", "别停止", "不要太吵了"} & found.keys()


def test_a_title_may_be_all_that_is_said() -> None:
    found = shortlist(heard("数鸭子"), TitleIndex(TITLES))
    assert found[0].phrase == "数鸭子"
    assert found[0].intent == Intent(Action.PLAY, "数鸭子")


def test_answers_to_an_offer_are_candidates_too() -> None:
    play = Intent(Action.PLAY, "数鸭子")
    hearing = heard("第一个")
    first = candidate("第一个", play, heard_sounds(hearing))
    assert shortlist(hearing, None, [first])[0] == first


def test_nothing_heard_has_no_candidates() -> None:
    assert shortlist(heard(), TitleIndex(TITLES)) == []
    assert shortlist(heard("，。"), TitleIndex(TITLES)) == []
