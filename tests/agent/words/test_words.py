"""Which language a command speaks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize("words", ["wake list", "diag -"])
@pytest.mark.parametrize(
    ("language", "told"),
    [
        (ZH, "story-agent: 输出写不出去：No space left on device\n"),
        (EN, "story-agent: the output could not be written: No space left on device\n"),
    ],
)
def test_an_output_that_is_full_is_not_the_machine_s_card(
    tmp_path: Path, words: str, language: str, told: str
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "agent.cli", *words.split(), "--state", tmp_path, "--lang", language],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, told)
