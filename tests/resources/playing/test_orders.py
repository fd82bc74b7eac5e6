"""What is said is understood."""

from __future__ import annotations

import pytest

from resources.playing.orders import Command, Order, Play, parse_order, starts_sound


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("下一首", Command.NEXT), ("NEXT", Command.NEXT), ("\uff2e\uff25\uff38\uff34\u3000", Command.NEXT), (" 暂停 ", Command.PAUSE),
        ("播放儿歌", Play(("儿歌",))), ("播放", Play(("播放",))), ("播放 儿歌", Play(("儿歌",))), ("next song", Play(("next song",))),
    ],
)  # fmt: skip
def test_what_is_said_is_understood(said: str, meant: Order) -> None:
    assert parse_order(said) == meant


def test_gates_are_asked_about_what_may_sound() -> None:
    silent = {Command.PAUSE, Command.STOP}
    assert {command for command in Command if not starts_sound(command)} == silent
    assert starts_sound(Play(("a",)))
