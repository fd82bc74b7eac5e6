"""Finding titles by their sound, and the title lists."""

from __future__ import annotations

import pytest

from staging.recognition import phonetics
from staging.recognition.titles import NoTitleError, TitleIndex

TITLES = ["小兔子乖乖", "小兔子拔萝卜", "两只老虎", "春天在哪里", "三只小猪", "儿歌", "数鸭子",
          "Twinkle Twinkle Little Star", "卖火柴的小女孩", "世上只有妈妈好", "丑小鸭"]  # fmt: skip
UUID = "01a800000072af"

needs_pinyin = pytest.mark.skipif(
    not phonetics.has_pinyin(), reason="pypinyin is missing: pip install . './cloud[asr]'"
)


@pytest.mark.parametrize(
    ("heard", "title"),
    [("小兔子乖乖", "小兔子乖乖"), ("儿歌", "儿歌"), ("春天", "春天在哪里"),
     ("世上只有妈妈", "世上只有妈妈好"), ("twinkle twinkle", "Twinkle Twinkle Little Star")],
)  # fmt: skip
def test_typed_titles(heard: str, title: str) -> None:
    assert TitleIndex(TITLES).find(heard).title == title


@needs_pinyin
@pytest.mark.parametrize(
    ("heard", "title"),
    [
        # Whisper's output for real titles (docs/recognition.md).
        ("小兔子买买", "小兔子乖乖"), ("小兔子呆呆", "小兔子乖乖"), ("两句老虎", "两只老虎"),
        ("2只老虎", "两只老虎"), ("春天在那里", "春天在哪里"), ("三只小竹", "三只小猪"),
        ("山只小猪", "三只小猪"), ("买火柴的小女孩", "卖火柴的小女孩"), ("树鸭子", "数鸭子"),
        ("醜小鴨", "丑小鸭"),
    ],
)  # fmt: skip
def test_titles_that_only_sound_alike(heard: str, title: str) -> None:
    match = TitleIndex(TITLES).find(heard)
    assert match.title == title
    assert match.score < 0.35


def of_ten(wrong: int) -> str:
    """Return a title of ten letters of which so many are others."""
    return "x" * wrong + "abcdefghij"[wrong:]


@pytest.mark.parametrize(
    ("wrong", "what"),
    [(0, "played"), (1, "played"), (2, "offered"), (3, "offered"), (4, "nothing")],
)
def test_a_title_alone_is_played_up_to_12_wrong_of_a_hundred_and_offered_up_to_30(
    wrong: int, what: str
) -> None:
    index = TitleIndex(["abcdefghij"])
    if what == "offered":
        with pytest.raises(NoTitleError, match="may be the title abcdefghij"):
            index.alone(of_ten(wrong))
    else:
        match = index.alone(of_ten(wrong))
        assert (match is not None) == (what == "played")


@pytest.mark.parametrize(
    ("title", "heard", "is_offered"),
    [
        ("abcdefghij", "abcd", True),  # two fifths of it
        ("abcdefghij", "abc", False),
        ("abcdefghij", "cdefg", True),
        ("abcdefghij", "cdefx", False),  # a fifth of what is said is wrong
        ("abcdefghijklmnopqrst", "abcdefghix", True),  # a tenth
    ],
)
def test_a_part_alone_is_offered_if_it_is_enough_and_right(
    title: str, heard: str, *, is_offered: bool
) -> None:
    index = TitleIndex([title])
    if is_offered:
        with pytest.raises(NoTitleError, match="may be the title"):
            index.alone(heard)
    else:
        assert index.alone(heard) is None


@pytest.mark.parametrize("heard", ["今天天气", "星期天", "myflox歌详语", "卡", ""])
def test_nothing_near_enough(heard: str) -> None:
    with pytest.raises(NoTitleError, match="no title sounds like"):
        TitleIndex(TITLES).find(heard)


def test_two_as_near_as_each_other_are_both_named() -> None:
    with pytest.raises(NoTitleError, match="小兔子 may be 小兔子乖乖 or 小兔子拔萝卜") as caught:
        TitleIndex(TITLES).find("小兔子")
    assert caught.value.nearest == ("小兔子乖乖", "小兔子拔萝卜")


def test_a_title_twice_is_no_rival_of_itself() -> None:
    assert TitleIndex(["两只 老虎", "两只老虎"]).find("两只老虎").score == 0


def test_an_empty_catalogue_has_nothing() -> None:
    with pytest.raises(NoTitleError):
        TitleIndex([]).find("儿歌")


def test_without_pypinyin_characters_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phonetics, "_reader", lambda: None)
    assert TitleIndex(TITLES).find("小兔子乖乖").score == 0
    assert TitleIndex(TITLES).find("小兔子拔萝").title == "小兔子拔萝卜"
    with pytest.raises(NoTitleError):
        TitleIndex(TITLES).find("小吐资怪怪")
