"""The intents of sentences, as a table; pronunciation is needed only where the row says so."""

from __future__ import annotations

import pytest

from staging.recognition.intents import VOLUME_STEP, Action, Intent, find_intent, named_after_play
from staging.recognition.phonetics import has_pinyin
from wire.errors import FieldError

UP = Intent(Action.VOLUME_UP, amount=VOLUME_STEP)
DOWN = Intent(Action.VOLUME_DOWN, amount=VOLUME_STEP)


def play(title: str) -> Intent:
    return Intent(Action.PLAY, title)


def level(amount: int) -> Intent:
    return Intent(Action.VOLUME_SET, amount=amount)


def share(amount: int) -> Intent:
    return Intent(Action.VOLUME_SET, amount=amount, percent=True)


SENTENCES: dict[str, Intent | None] = {
    # 播放…
    "播放小兔子乖乖": play("小兔子乖乖"),
    "请播放儿歌。": play("儿歌"),
    "播放《春天在哪里》这首歌": play("春天在哪里"),
    "我想听两只老虎": play("两只老虎"),
    "我要听小兔子乖乖的故事": play("小兔子乖乖"),
    "给我讲个故事": play("故事"),
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
    "不要下一首": Intent(Action.NEXT),
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
        ("播放", ()),
    ],
)
def test_what_follows_play_may_be_a_title_whatever_it_says(
    sentence: str, names: tuple[str, ...]
) -> None:
    assert named_after_play(sentence) == names
