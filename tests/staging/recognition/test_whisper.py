"""Whisper's part that needs no model; what it hears is tested with it in test_path.py."""

from __future__ import annotations

import pytest

from staging.recognition.text import parse_numeral
from staging.recognition.whisper import PROMPTS, halves, is_echo, together, tokens_of

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TOKENS_MAX = 30


@pytest.mark.parametrize(
    ("text", "echo"),
    [("播放故事，继续。", True), ("播放故事继续继续", True), ("播放 故事", True), ("继续", False), ("播放小星星", False), ("", False)],
)  # fmt: skip
def test_an_echo_of_the_prompt_is_no_hypothesis(text: str, *, echo: bool) -> None:
    assert any(is_echo(text, prompt) for prompt in PROMPTS) is echo


def test_prompts_name_no_number() -> None:
    # Whisper recognises every other number as the one in its prompt.
    assert not any(parse_numeral(character) for prompt in PROMPTS for character in prompt)


def test_a_child_is_scored_by_the_looks_that_explain_it_best() -> None:
    adult = together([8.0, 2.0], [6.0, 4.0], [5.0, 1.0])
    assert adult == [7.0, 3.0]
    assert together([1.0, 2.0], [0.0, 2.0], [9.0, 1.0]) == [9.0, 1.0]
    assert together([], [], []) == []


def test_a_short_sound_has_a_short_text_and_no_text_is_longer_than_a_sentence() -> None:
    assert [tokens_of(seconds) for seconds in (0.0, 1.0, 2.0, 15.0)] == [8, 15, 22, TOKENS_MAX]


def test_phrases_are_two_jobs_whose_phrases_begin_alike() -> None:
    assert halves(["播放小星星", "停止", "播放两只老虎", "停一下", "停止"]) == [
        ["停一下", "停止"], ["播放两只老虎", "播放小星星"],
    ]  # fmt: skip
    assert halves(["停止"]) == [["停止"]]
    assert halves([]) == []
