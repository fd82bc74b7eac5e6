"""Which language a command speaks."""

from __future__ import annotations

import pytest

from agent.words import EN, ZH, Words, choose


@pytest.mark.parametrize(
    ("words", "environment", "language"),
    [
        ([], {}, ZH),
        ([], {"LANG": "C.UTF-8"}, ZH),
        ([], {"LANG": "zh_TW.UTF-8"}, ZH),
        ([], {"LANG": "en_US.UTF-8"}, EN),
        ([], {"LANG": "de_DE.UTF-8@euro"}, EN),
        ([], {"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN"}, ZH),
        ([], {"LANG": "en_US", "LC_ALL": "", "LC_MESSAGES": ""}, EN),
        ([], {"LANG": "en_US", "STORY_AGENT_LANG": "zh"}, ZH),
        ([], {"LANG": "en_US", "STORY_AGENT_LANG": "fr"}, EN),
        (["status", "--lang", "en"], {"STORY_AGENT_LANG": "zh"}, EN),
        (["status", "--lang=zh"], {"LANG": "en_US"}, ZH),
        (["status", "--lang"], {"LANG": "en_US"}, EN),
        (["status", "--lang", "fr"], {"LANG": "en_US"}, EN),
    ],
)
def test_choose(words: list[str], environment: dict[str, str], language: str) -> None:
    assert choose(words, environment) == language


def test_words() -> None:
    assert Words("好", "good").of(ZH) == "好"
    assert Words("好", "good").of(EN) == "good"
