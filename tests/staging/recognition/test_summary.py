"""An outcome in one line."""

from __future__ import annotations

from typing import Any

import pytest

from staging.recognition.summary import summary

STEP = {"method": "PUT", "name": "play", "content": "儿歌", "code": "2.04", "answer": ""}
OUTCOME: dict[str, Any] = {
    "source": "typed", "text": "播放儿歌", "intent": {"action": "play", "title": "儿歌"},
    "steps": [STEP], "error": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "typed 播放儿歌; play 儿歌; PUT play 儿歌 -> 2.04"),
        (
            {"intent": {"action": "next"}, "steps": [STEP | {"code": "5.03", "answer": "no card"}]},
            "typed 播放儿歌; next; PUT play 儿歌 -> 5.03 no card",
        ),
        (
            {"text": "", "intent": None, "steps": [], "error": "nothing heard"},
            "typed -; nothing heard",
        ),
    ],
)
def test_each_part_that_there_is_stands_in_the_line(change: dict[str, Any], line: str) -> None:
    assert summary(OUTCOME | change) == line
