"""Sentences in the form in which commands are looked for."""

from __future__ import annotations

from wire.sentence import normalise


def test_normalise_keeps_words_of_letters_apart() -> None:
    assert normalise("　Ｐlay “Twinkle,  twinkle” 星 星! 50％") == "play twinkle twinkle星星50%"  # noqa: RUF001


def test_both_scripts_are_one() -> None:
    assert normalise("聽完這個,就關機。") == "听完这个就关机"
    assert normalise("半個鐘頭") == "半个钟头"
