"""The sleep timer as families say it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import FieldError
from wire.sleep import may_be_said, minutes
from wire.spoken import read_timer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SENTENCE_LIMIT = 60

SAID = {
    "1": "30秒后停, 一分钟后停",
    "5": "in 5 minutes stop, five minutes",
    "6": "五分半钟后停",
    "10": "还有十分钟停, 过十分钟自动停, 十分钟之后关掉音乐, 倒计时10分钟, 10 Minutes",
    "15": "一刻钟后停, stop in a quarter of an hour",
    "20": "二十分钟后停, 二十分钟以后停止, 20分钟后停止播放, 20分钟后停。, 二十分鐘後關, 廿分钟后关, 定时二十分钟, "
          "设置一个20分钟的定时, 请二十分钟后把故事关掉, 只能听二十分钟, 我想二十分钟后睡觉, 停在二十分钟后, "
          "Stop in 20 minutes., 20 minutes, sleep timer 20 minutes, set a timer for 20 minutes, "
          "set a 20 minute timer, 20 more minutes, play for 20 minutes, keep playing for another 20 minutes, "
          "stop after 20 min, please turn off in twenty minutes",
    "25": "stop in twenty-five minutes",
    "30": "半小时后关, 半个钟头后停, 再放半个小时就睡觉, 睡眠定时半小时, 定时关机三十分钟, 听半小时, 设个半小时的定时, another half hour, turn off in half an hour",
    "45": "三刻钟以后停, Set the sleep timer to 45 min, three quarters of an hour",
    "60": "一小时后关闭, 再过一个小时关, stop in an hour, stop in one hour",
    "65": "一小时零五分后停",
    "80": "一个小时二十分钟后停, in 1 hour 20 minutes",
    "90": "一个半小时, 一小时半后停, 1.5小时后停, 一点五个小时后停, 九十分钟后停, 设一个半小时的定时, 一个半小时定时, sleep in an hour and a half, 1.5 hours",
    "150": "两个半小时后停, 兩個半小時後停, two and a half hours",
    "600": "十小时后停",
    "end": "听完这个就停, 聽完這個就停, 放完这首关, 听完就停, 这首放完就停, 这个故事讲完就睡觉, 放完这首歌就关机吧, "
           "等这个故事放完再停, 这首歌结束后停, 在这个故事结束的时候停, 放完这一集就停, 这是最后一个了, after this story, "
           "stop after this one please, stop at the end of this story, stop when it's finished, last story",
    "after 1": "再讲一个就睡觉, 听完这两个就停, one more story and then sleep, one more and stop, stop after the next story",
    "after 2": "再听两个就停, 再聽兩個就停, 听两集就关, 再放2首就停, two more stories then stop, stop after 2 stories",
    "after 12": "再来十二首就别放了, after twelve songs",
    "at 08:30 or 20:30": "八点半停, 八点半就停播, 到8点半关机, 8:30停, 播到八点半, 定时到八点半, stop at 8:30, turn it off at half past eight",
    "at 20:30": "晚上八点半停, 今晚八点三十分关, 20:30停, \uff12\uff10\uff1a\uff13\uff10停, 二十点三十分停, stop at 20:30, stop at 8:30 p.m., at half past eight tonight stop",
    "at 09:00 or 21:00": "九点关, 九点睡觉, 到九点就别播了, 九点钟停, play until nine o'clock",
    "at 08:45": "早上八点三刻停, 08:45停, stop at quarter to nine in the morning",
    "at 08:05 or 20:05": "八点五分停, 八点零五停, stop at five past eight",
    "at 00:00": "晚上十二点停, 半夜十二点停, 24:00停, 零点停",
    "at 12:30": "中午十二点半停",
    "at 00:00 or 12:00": "十二点停, stop at twelve",
    "at 15:00": "下午三点停, stop at 3 pm",
    "off": "别停, 取消定时, 不要定时, 关闭定时器, 把定时关掉, 定时取消, 别关, cancel the timer, timer off, "
           "turn off the sleep timer, don't stop, no timer",
}  # fmt: skip
CASES = [(sentence, value) for value, said in SAID.items() for sentence in said.split(", ")]


@pytest.mark.parametrize(("sentence", "value"), CASES)
def test_a_sentence_sets_the_timer(sentence: str, value: str) -> None:
    assert str(read_timer(sentence)) == value
    assert may_be_said(sentence)


@pytest.mark.parametrize(
    "sentence",
    ["", "停", "停止", "stop", "sleep", "off", "in", "after", "十二", "下一首", "播放小兔子乖乖", "讲三只小猪",
     "一千零一夜", "半夜鸡叫", "再听两个", "再听一个", "再来一首", "八点半", "三点水停", "二十五点停", "八点六十分停", "第八点停",
     "二十十分钟后停", "百十百小时后停", "十十点停", "再听廿卅个就停", "stop at 25", "25:00停", "不停", "停不下来",
     "十二生肖的故事", "两只老虎", "三分钟热度", "the last mohican", "20000 leagues under the sea", "After the rain"],
)  # fmt: skip
def test_titles_commands_and_times_that_are_none_are_no_timers(sentence: str) -> None:
    assert read_timer(sentence) is None


@pytest.mark.parametrize(
    "title", ["小兔子乖乖", "三只小猪", "Peter Pan", "http://media.example/a.mp3"]
)
def test_most_titles_are_told_at_a_glance(title: str) -> None:
    assert not may_be_said(title)


@pytest.mark.parametrize(
    "sentence",
    ["零分钟后停", "二十小时后停", "stop in 601 minutes", "再听一百个就停", "after 0 songs"],
)
def test_what_is_out_of_range_is_told_as_it_was_said(sentence: str) -> None:
    with pytest.raises(FieldError, match="sleep_timer: got") as caught:
        read_timer(sentence)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("count", [1, 2, 9, 10, 15, 20, 42, 100, 105, 250, 600])
def test_arabic_and_chinese_numbers_say_the_same(count: int) -> None:
    written = {1: "一", 2: "两", 9: "九", 10: "十", 15: "十五", 20: "二十", 42: "四十二", 100: "一百", 105: "一百零五",
               250: "二百五十", 600: "六百"}[count]  # fmt: skip
    assert read_timer(f"{count}分钟后停") == read_timer(f"{written}分钟后停") == minutes(count)


@given(st.text(max_size=SENTENCE_LIMIT * 2))
def test_any_text_is_answered(text: str) -> None:
    with contextlib.suppress(FieldError):
        read_timer(text)


PARTS = ["再", "就", "请", "停", "听", "十", "分钟", "半", "个", "小时", "别", "关", "这", "完", "后", "1", "the ", "a ",
         "after ", "twenty ", "stop ", "story "]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=40).map("".join))
def test_no_sentence_takes_long_to_read(text: str) -> None:
    """Many parts of a form are optional; tried in all ways, this would last until the run's time limit."""
    with contextlib.suppress(FieldError):
        read_timer(text)


def test_a_sentence_that_nobody_says_is_no_timer() -> None:
    for letters in (SENTENCE_LIMIT, SENTENCE_LIMIT + 1, 100_000):
        assert read_timer("停" * letters) is None
