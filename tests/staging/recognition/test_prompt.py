"""The prompt for Whisper: titles and commands, and how its echo is known."""

from __future__ import annotations

import pytest

from staging.recognition.prompt import build_prompt, is_echo
from staging.recognition.text import parse_numeral


class TestPrompt:
    def test_begins_with_titles_as_many_as_there_is_room(self) -> None:
        prompt = build_prompt([f"第{n}个故事" for n in range(100)])
        assert prompt.startswith("播放第0个故事，播放第1个故事，")
        assert "上一首" in prompt
        assert len(prompt) < 110

    def test_names_no_number(self) -> None:
        # Whisper recognises every other number as the one in its prompt.
        assert not any(parse_numeral(c) for c in build_prompt([]).replace("一首", ""))

    @pytest.mark.parametrize(
        ("text", "echo"),
        [("播放儿歌，上一首，下一首，暂停，继续，停止，调高音量，调低音量，音量调到。", True),
         ("上一首、下一首、暂停、", True), ("下一首。", False), ("播放儿歌", False), ("", False)],
    )  # fmt: skip
    def test_knows_its_echo(self, text: str, *, echo: bool) -> None:
        assert is_echo(text, build_prompt(["儿歌"])) is echo
