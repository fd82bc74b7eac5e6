"""What is said is understood, and what is JSON is checked member by member."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.playing.orders import (
    Add,
    Command,
    Forget,
    Jump,
    Keep,
    Order,
    Play,
    Seek,
    SetMode,
    SetPolicy,
    parse_order,
    parse_position,
    starts_sound,
)
from resources.playing.queue import PlayMode
from resources.playing.resume import Policy
from wire.errors import FieldError, WireError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
NAMES_LIMIT = 200


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("下一首", Command.NEXT), ("NEXT", Command.NEXT), ("\uff2e\uff25\uff38\uff34\u3000", Command.NEXT), (" 暂停 ", Command.PAUSE),
        ("下一首。", Command.NEXT), ("Stop.", Command.STOP), ("第三首\uff01", Jump(3)), ("。", Play("。")), ("播放儿歌", Play("儿歌")), ("播放", Play("播放")), ("播放 儿歌", Play("儿歌")), ("next song", Play("next song")),
        ("从头", Command.RESTART), ("再听一遍", Command.RESTART), ("Restart", Command.RESTART), ("上一集", Command.PREVIOUS),
        ("随机播放", SetMode(PlayMode.SHUFFLE)), ("shuffle", SetMode(PlayMode.SHUFFLE)),
        ("单曲循环", SetMode(PlayMode.REPEAT_ONE)), ("Repeat All", SetMode(PlayMode.REPEAT_ALL)),
        ("循环播放", SetMode(PlayMode.REPEAT_ALL)), ("顺序播放", SetMode(PlayMode.ORDER)), ("取消循环", SetMode(PlayMode.ORDER)),
        ("随机播放儿歌", Play("儿歌", PlayMode.SHUFFLE)), ("循环播放 儿歌", Play("儿歌", PlayMode.REPEAT_ALL)),
        ("单曲循环两只老虎", Play("两只老虎", PlayMode.REPEAT_ONE)),
        ("从头播放西游记", Play("西游记", from_start=True)), ("下一首播放两只老虎", Add(("两只老虎",), next=True)),
        ("第三首", Jump(3)), ("第12个", Jump(12)), ("第二十一首", Jump(21)), ("第三集", Play("第三集")), ("第十", Play("第十")),
        ("[1] The fox", Play("[1] The fox")), ("{a", Play("{a")), ("shuffle the cards", Play("shuffle the cards")),
    ],
)  # fmt: skip
def test_what_is_said_is_understood(said: str, meant: Order) -> None:
    assert parse_order(said) == meant


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (["a", "http://h/b.mp3"], Play(("a", "http://h/b.mp3"))), (["随机播放"], Play(("随机播放",))),
        ({"play": "a"}, Play("a")), ({"play": ["a", "b"], "mode": "shuffle"}, Play(("a", "b"), PlayMode.SHUFFLE)),
        ({"play": "a", "from": "start", "mode": "order"}, Play("a", PlayMode.ORDER, from_start=True)),
        ({"add": ["a", "b"]}, Add(("a", "b"), next=False)), ({"next": "a"}, Add(("a",), next=True)),
        ({"jump": 3}, Jump(3)), ({"jump": "b"}, Jump("b")), ({"mode": "repeat-one"}, SetMode(PlayMode.REPEAT_ONE)),
        ({"position": 12.5}, Seek(12.5)), ({"position": 0}, Seek(0)),
        ({"forget": "a"}, Forget("a")), ({"forget": True}, Forget(None)),
        ({"resume": {"title": "西游记", "policy": "story"}}, SetPolicy("西游记", Policy.STORY)),
        ({"resume": {"title": "西游记", "policy": None}}, SetPolicy("西游记", None)),
        ({"pin": "https://h/a.mp3"}, Keep("https://h/a.mp3", pinned=True)),
        ({"unpin": "https://h/a.mp3"}, Keep("https://h/a.mp3", pinned=False)),
    ],
)  # fmt: skip
def test_json_says_all_that_words_cannot(value: object, meant: Order) -> None:
    assert parse_order(json.dumps(value, ensure_ascii=False)) == meant
    assert parse_order(f"  {json.dumps(value)} ") == meant


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"play: got \[\], expected a name, or a list of 1 to 200 names"),
        (["a"] * (NAMES_LIMIT + 1), "list of 1 to 200 names"),
        (["a", 7], r"play\[1\]: got 7, expected the name of a title"),
        (["a", "  "], r'play\[1\]: got "  "'),
        (["a\u202eb"], r"play\[0\]: got"),
        ({}, r"play: got \{\}, expected an object with one of play, next, add, jump"),
        ({"pause": 1}, "expected an object with one of play"),
        ({"add": "a", "next": "b"}, "expected an object with one of play"),
        ({"add": "a", "mode": "shuffle"}, "expected an object with one of"),
        ({"play": "a", "speed": 2}, "expected an object with one of|play.speed: got 2"),
        ({"jump": 3, "x": 1}, "play.x: got 1, expected nothing beside jump"),
        ({"jump": 0}, "play.jump: got 0, expected an integer from 1 to"),
        ({"jump": 1.5}, "play.jump: got 1.5, expected an integer"),
        ({"jump": True}, "play.jump: got true"),
        ({"mode": "loop"}, 'play.mode: got "loop", expected one of order, shuffle, repeat-one, repeat-all'),
        ({"mode": ["order"]}, "play.mode: got"),
        ({"mode": {}}, "play.mode: got"),
        ({"position": -1}, "play.position: got -1, expected a number from 0 to"),
        ({"position": 1e9}, "play.position: got"),
        ({"forget": False}, "play.forget: got false"),
        ({"resume": "story"}, 'play.resume: got "story", expected an object with title and policy'),
        ({"resume": {"title": "a", "policy": "x"}}, "play.resume.policy: got .*one of story, song, or null"),
        ({"resume": {"title": "a", "policy": []}}, "play.resume.policy: got"),
        ({"play": "a", "from": "middle"}, 'play.from: got "middle", expected the word "start"'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(value: object, message: str) -> None:
    with pytest.raises(FieldError, match=message):
        parse_order(json.dumps(value))


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), st.lists))
def test_any_json_is_an_order_or_refused(value: object) -> None:
    for text in (json.dumps([value]), json.dumps({"play": value}), json.dumps({"jump": value})):
        try:
            parse_order(text)
        except WireError:
            continue


def test_nesting_without_end_is_no_crash() -> None:
    assert parse_order("[" * 2000) == Play("[" * 2000)
    with pytest.raises(WireError):
        parse_order('{"play":' + "[" * 900 + "]" * 900 + "}")


def test_gates_are_asked_about_what_may_sound() -> None:
    silent = {Command.PAUSE, Command.STOP}
    assert {command for command in Command if not starts_sound(command)} == silent
    assert starts_sound(Play("a"))
    assert starts_sound(Jump(1))
    assert starts_sound(Add(("a",), next=False))
    for order in (
        SetMode(PlayMode.ORDER),
        Seek(1.0),
        Forget(None),
        SetPolicy("a", None),
        Keep("u", pinned=True),
    ):
        assert not starts_sound(order)


@pytest.mark.parametrize(
    "text", ["x", "5", "[]", "null", '{"position":NaN}', "{}", '{"position": 1, "x": 2}']
)
def test_what_is_no_position_is_shown_with_what_was_expected(text: str) -> None:
    with pytest.raises(FieldError, match=r"^player: got .+, expected an object like \{\"position"):
        parse_position(text)
