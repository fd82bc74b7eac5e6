"""Whisper's part that needs no model; what it hears is tested with it in test_path.py."""

from __future__ import annotations

import pytest

from staging.recognition.text import parse_numeral
from staging.recognition.whisper import PROMPTS, is_echo, together


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
