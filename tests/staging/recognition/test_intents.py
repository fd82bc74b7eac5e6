"""The intents of sentences, as a table; pronunciation is needed only where the row says so."""

from __future__ import annotations

import pytest

from staging.recognition.intents import VOLUME_STEP, Action, Intent, find_intent
from staging.recognition.phonetics import has_pinyin

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
    # No command.
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
