"""An outcome in one line."""

from __future__ import annotations

from typing import Any

import pytest

from staging.recognition.summary import summary

STEP = {"method": "PUT", "name": "play", "content": "儿歌", "code": "2.04", "answer": ""}
OUTCOME: dict[str, Any] = {
    "source": "typed", "text": "播放儿歌", "intent": {"action": "play", "title": "儿歌"},
    "steps": [STEP], "error": "", "kind": "done", "nearest": [],
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
            {"text": "", "intent": None, "steps": [], "error": "nothing", "kind": "not_understood"},
            "typed -; not_understood: nothing",
        ),
        (
            {
                "steps": [],
                "error": "no title",
                "kind": "not_found",
                "nearest": ["数鸭子", "丑小鸭"],
            },
            "typed 播放儿歌; play 儿歌; not_found: no title; nearest: 数鸭子, 丑小鸭",
        ),
    ],
)
def test_each_part_that_there_is_stands_in_the_line(change: dict[str, Any], line: str) -> None:
    assert summary(OUTCOME | change) == line
