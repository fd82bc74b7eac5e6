"""The intents of sentences, as a table; pronunciation is needed only where the row says so."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staging.recognition.intents import (
    Action,
    Intent,
    find_intent,
    forbids,
    named_after_play,
    named_alone,
)
from staging.recognition.phonetics import has_pinyin
from wire.errors import FieldError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
VOLUME_STEP = 2

UP = Intent(Action.VOLUME_UP, amount=VOLUME_STEP)
DOWN = Intent(Action.VOLUME_DOWN, amount=VOLUME_STEP)


def play(title: str) -> Intent:
    return Intent(Action.PLAY, title)


def anything(kind: str = "") -> Intent:
    return Intent(Action.PLAY_ANY, kind)


def level(amount: int) -> Intent:
    return Intent(Action.VOLUME_SET, amount=amount)


def share(amount: int) -> Intent:
    return Intent(Action.VOLUME_SET, amount=amount, percent=True)


SENTENCES: dict[str, Intent | None] = {
    # 播放…
    "播放小兔子乖乖": play("小兔子乖乖"),
    "请播放儿歌。": anything("儿歌"),
    "播放《春天在哪里》这首歌": play("春天在哪里"),
    "我想听两只老虎": play("两只老虎"),
    "我要听小兔子乖乖的故事": play("小兔子乖乖"),
    "给我讲个故事": anything("故事"),
    "放一首两只老虎吧": play("两只老虎"),
    "来一首春天在哪里": play("春天在哪里"),
    "把小兔子乖乖播放出来": play("小兔子乖乖"),
    "放小兔子乖乖": play("小兔子乖乖"),
    "播放小兔子拔萝卜给我听好吗？": play("小兔子拔萝卜"),
    "Play Twinkle, Twinkle": play("twinkle twinkle"),
    "播放停止的钟": play("停止的钟"),
    "播放大声唱": play("大声唱"),
    # The earliest command counts, and 播放 may be followed by another command.
    "播放下一首": Intent(Action.NEXT),
    "播放上一首歌": Intent(Action.PREVIOUS),
    "播放": Intent(Action.RESUME),
    "上一首": Intent(Action.PREVIOUS),
    "请放上一首歌": Intent(Action.PREVIOUS),
    "下一首，": Intent(Action.NEXT),
    "下一个故事": Intent(Action.NEXT),
    "换一首": Intent(Action.NEXT),
    "暂停": Intent(Action.PAUSE),
    "暂停，播放": Intent(Action.PAUSE),
    "停一下": Intent(Action.PAUSE),
    "继续播放": Intent(Action.RESUME),
    "繼續": Intent(Action.RESUME),
    "不要停": Intent(Action.RESUME),
    "停止": Intent(Action.STOP),
    "停止播放": Intent(Action.STOP),
    "停": Intent(Action.STOP),
    "别放了": Intent(Action.STOP),
    "不要播放小兔子": Intent(Action.STOP),
    # Louder, quieter, a given volume.
    "调高音量": UP,
    "把音量调高一点": UP,
    "請把聲音調大一點": UP,
    "大声一点": UP,
    "声音太小了": UP,
    "放大一点": UP,
    "调高三格": Intent(Action.VOLUME_UP, amount=3),
    "调低音量": DOWN,
    "声音小一点": DOWN,
    "小声点": DOWN,
    "太吵了": DOWN,
    "调低３": Intent(Action.VOLUME_DOWN, amount=3),
    "音量调到十": level(10),
    "音量调到十五": level(15),
    "把音量调到5": level(5),
    "音量十": level(10),
    "调到八": level(8),
    "音量调到百分之五十": share(50),
    "音量调到 50％": share(50),
    "音量调到最大": share(100),
    "声音开到最小": share(0),
    "音量设为一半": share(50),
    "静音": share(0),
    "二十分钟后停": Intent(Action.SLEEP_TIMER, timer="20"),
    "听完这个就停": Intent(Action.SLEEP_TIMER, timer="end"),
    "再听两个就停": Intent(Action.SLEEP_TIMER, timer="after 2"),
    "取消定时": Intent(Action.SLEEP_TIMER, timer="off"),
    "stop in half an hour": Intent(Action.SLEEP_TIMER, timer="30"),
    # What sounds goes on; this has no word of a timer.
    "别停": Intent(Action.RESUME),
    # What is not wanted is not done, and neither is its opposite.
    "我不想听了": Intent(Action.STOP),
    "我不想听小兔子乖乖": Intent(Action.STOP),
    "太大声了": DOWN,
    "有点大声": DOWN,
    "不要太大声": DOWN,
    "别这么大声": DOWN,
    "好吵": DOWN,
    "太小声了": UP,
    "听不到": UP,
    "取消静音": UP,
    "关掉静音": UP,
    "不要继续了": Intent(Action.PAUSE),
    "别换一首": None,
    "别换": None,
    "不要下一首": None,
    "最后一首": Intent(Action.SLEEP_TIMER, timer="end"),
    "听最后一首歌": play("最后一首歌"),
    "后一首": Intent(Action.NEXT),
    "把它停了": Intent(Action.STOP),
    "关机": Intent(Action.STOP),
    "开始": Intent(Action.RESUME),
    "再放一遍": Intent(Action.RESTART),
    "重新播放": Intent(Action.RESTART),
    "从头开始": Intent(Action.RESTART),
    "再讲一遍小红帽": play("小红帽"),
    # Polite beginnings.
    "給我放小兔子乖乖": play("小兔子乖乖"),
    "可以讲小红帽吗": play("小红帽"),
    "能不能给我放小兔子乖乖": play("小兔子乖乖"),
    "讲一讲大灰狼": play("大灰狼"),
    # English, as a whole sentence.
    "Next song, please!": Intent(Action.NEXT),
    "ｓｋｉｐ": Intent(Action.NEXT),
    "previous": Intent(Action.PREVIOUS),
    "Pause": Intent(Action.PAUSE),
    "Don't stop": Intent(Action.RESUME),
    "stop playing": Intent(Action.STOP),
    "start over": Intent(Action.RESTART),
    "play": Intent(Action.RESUME),
    "play next": Intent(Action.NEXT),
    "turn it up": UP,
    "volume down": DOWN,
    "set the volume to 5": level(5),
    "volume 50%": share(50),
    "mute": share(0),
    "the next station": None,
    "what is on display": None,
    # No command.
    "听话": None,
    "我听到了": None,
    "": None,
    "，。！": None,
    "你好": None,
    "真好听": None,
    "今天天气怎么样": None,
    "小兔子乖乖": None,
    "音量调到": None,
    "音量调到一千": None,
    "音量调到百分之两百": None,
}


# What is negated is not done, whatever it is; a refusal before an order is part of neither.
NOT_WANTED = (
    "不要下一首", "我不要下一首", "别下一首", "不想听下一首", "不要上一首", "别切歌", "不要跳过", "不用换一个", "先别换", "不要换一首",
    "我不想换一个", "不要再下一个了", "不要调高音量", "别调低音量", "不许调高音量", "不要重新播放", "不要从头开始", "不要再放一遍",
    "不要音量调到十", "别二十分钟后停", "不是下一首", "我没说暂停", "没有说停止", "不能暂停", "不喜欢下一首", "请不要上一首", "不应该停止",
)  # fmt: skip
WANTED_AFTER_NO: dict[str, Intent] = {
    "不要，下一首": Intent(Action.NEXT),
    "不，换一首": Intent(Action.NEXT),
    "不要这个，下一首": Intent(Action.NEXT),
    "不要这首换一首": Intent(Action.NEXT),
    "这个不好听换一个": Intent(Action.NEXT),
    "不要这个，播放两只老虎": play("两只老虎"),
    "能不能下一首": Intent(Action.NEXT),
    "可不可以暂停": Intent(Action.PAUSE),
    "要不要换一首": Intent(Action.NEXT),
    "别关掉": Intent(Action.RESUME),
    "别静音": UP,
    "别放这个了": Intent(Action.STOP),
}
# A command's words in talk to somebody else.
CHATTER = (
    "妈妈说下一首歌很好听", "我昨天听了小兔子乖乖", "老师叫我们停止讲话", "他一直不停止", "暂停键在哪里", "这首歌的上一首是什么",
    "爸爸在听新闻", "今天老师讲了一个故事", "昨天妈妈给我讲了小红帽", "我想放风筝", "放学了", "我们放学回家", "放假了", "放心吧", "放下来",
    "讲话不要大声", "听妈妈的话", "我听不懂", "听到了", "继续努力", "我继续吃饭", "明天继续上课", "关了灯", "把灯关掉", "关掉电视",
    "大一点的苹果", "我要大一点的", "跳过水坑", "换一个杯子", "换个衣服", "上个厕所", "前一个人", "下个星期", "下一个路口", "下一首是什么歌",
    "你为什么暂停", "他停止了比赛", "我看完上一集就睡觉", "谁把声音调大了", "妈妈听不到你说话", "奶奶说声音大一点才听得见",
    "讲座", "讲解一下", "讲台上", "唱片", "唱歌比赛", "放暑假了", "放点盐", "放桌上", "放哪里", "听我说", "听妈妈的", "听老师讲", "下一个妈妈讲",
    "下一个弟弟来",
)  # fmt: skip
# Words around a command that leave it one.
ADDRESSED: dict[str, Intent] = {
    "小爱同学下一首": Intent(Action.NEXT),
    "你好小明，请换一首歌好吗": Intent(Action.NEXT),
    "妈妈我想听小红帽": play("小红帽"),
    "停一下我要上厕所": Intent(Action.PAUSE),
    "太吵了我睡不着": DOWN,
    "声音太小了我听不见": UP,
    "继续讲三只小猪": play("三只小猪"),
    "小声说话": DOWN,
    "音乐太大声了": DOWN,
    "我觉得声音有点大": DOWN,
    "等会儿再下一首": Intent(Action.NEXT),
    "停停停": Intent(Action.STOP),
    "快停下来": Intent(Action.STOP),
    "大声大声": UP,
    "小点声弟弟在睡觉": DOWN,
    "放哪吒闹海": play("哪吒闹海"),
    "我想听妈妈讲那过去的事情": play("妈妈讲那过去的事情"),
}
# Whichever: a story is told.
ANYTHING: dict[str, str] = {
    "讲个故事": "故事", "给我讲一个故事吧": "故事", "我想听故事": "故事", "讲故事": "故事", "我喜欢听故事": "故事", "放首歌": "歌", "唱首歌": "歌",
    "我想听歌": "歌", "来点音乐": "音乐", "播放音乐": "音乐", "随便放一个": "", "随便听听": "", "我要听好听的": "", "讲个睡前故事": "睡前故事",
    "有什么好听的": "", "随便": "", "什么都行": "", "随便放点什么": "", "放什么都可以": "", "你有什么故事": "故事", "睡不着讲个故事": "故事", "play something": "", "Play some music, please": "",
}  # fmt: skip


@pytest.mark.parametrize("sentence", [*NOT_WANTED, *CHATTER])
def test_what_is_not_wanted_or_not_meant_is_not_done(sentence: str) -> None:
    assert find_intent(sentence) is None


@pytest.mark.parametrize(("sentence", "expected"), [*WANTED_AFTER_NO.items(), *ADDRESSED.items()])
def test_what_is_wanted_after_all(sentence: str, expected: Intent) -> None:
    assert find_intent(sentence) == expected


@pytest.mark.parametrize(("sentence", "kind"), ANYTHING.items())
def test_a_vague_wish(sentence: str, kind: str) -> None:
    assert find_intent(sentence) == anything(kind)


@pytest.mark.parametrize("sentence", ["再来一个", "再讲一个", "再来一首", "再讲一个故事吧"])
def test_one_more_is_the_next(sentence: str) -> None:
    assert find_intent(sentence) == Intent(Action.NEXT)


@given(st.text("不要别下一首停播放听讲歌的了我们你好同学说再给小大声点0", max_size=500))
@settings(max_examples=40, deadline=None)
def test_no_sentence_takes_long_or_fails(sentence: str) -> None:
    with contextlib.suppress(FieldError):
        find_intent(sentence)


@pytest.mark.parametrize(("sentence", "expected"), SENTENCES.items())
def test_sentence(sentence: str, expected: Intent | None) -> None:
    assert find_intent(sentence) == expected


@pytest.mark.skipif(not has_pinyin(), reason="pypinyin is missing: pip install . './cloud[asr]'")
@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ("赞停", Intent(Action.PAUSE)),
        ("夏一手", Intent(Action.NEXT)),
        ("博放小兔子乖乖", play("小兔子乖乖")),
        ("技续", Intent(Action.RESUME)),
        ("感觉", None),
        ("三二一", None),
    ],
)
def test_commands_in_other_characters(heard: str, expected: Intent | None) -> None:
    assert find_intent(heard) == expected


def test_an_intent_shows_only_what_means_something() -> None:
    assert play("儿歌").to_json() == {"action": "play", "title": "儿歌"}
    assert share(50).to_json() == {"action": "volume-set", "amount": 50, "percent": True}
    assert Intent(Action.NEXT).to_json() == {"action": "next"}


@pytest.mark.parametrize(
    "sentence", ["音量调到-5", "音量 −3", "音量调到5.5", "volume -5", "调高 1,000 格"]
)
def test_a_level_is_no_other_number_than_the_one_said(sentence: str) -> None:
    with pytest.raises(FieldError, match="volume: got"):
        find_intent(sentence)


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("播放停止的故事", ("停止的故事", "停止")),
        ("我想听 Stop!", ("stop",)),
        ("请播放暂停", ("暂停",)),
        ("把下一首播放出来", ("下一首",)),
        ("停止的故事", ()),
        ("不要两只老虎要小星星", ("小星星",)),
        ("不听小红帽我要听白雪公主", ("白雪公主",)),
        ("别放小红帽放白雪公主吧", ("白雪公主吧", "白雪公主")),
        ("不是小红帽是白雪公主", ("白雪公主",)),
        ("不要再放小红帽了", ()),
        ("别老是放小红帽", ()),
        ("不要一直放小红帽", ()),
        ("播放", ()),
    ],
)
def test_what_follows_play_may_be_a_title_whatever_it_says(
    sentence: str, names: tuple[str, ...]
) -> None:
    assert named_after_play(sentence) == names


@pytest.mark.parametrize(
    "sentence",
    [
        "能不能讲小红帽", "可不可以放小红帽", "你会讲小红帽吗", "再讲小红帽", "接着放小红帽", "换成小红帽", "换一个小红帽", "有没有小红帽",
        "喂放小红帽", "小红帽小红帽", "我要那个小红帽",
    ],
)  # fmt: skip
def test_a_title_behind_a_wish_of_any_kind(sentence: str) -> None:
    assert "小红帽" in named_alone(sentence)


def test_what_is_not_wanted_is_not_offered() -> None:
    refusals = ("不要", "不要小红帽", "我不喜欢小红帽", "别小红帽", "那我不要小红帽了")
    assert all(map(forbids, refusals))
    assert not any(map(forbids, ("小红帽", "我要小红帽", "有没有小红帽", "分别")))
