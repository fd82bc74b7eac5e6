"""argparse in Chinese: every message that it can show a person."""

from __future__ import annotations

import argparse
import ast
import inspect

import pytest

from agent.cli import main
from agent.words.usage import CHINESE
from tools.syntax import parse

# What argparse says to programmers, or of what this command line does not have.
NOT_FOR_PEOPLE = (
    "is not callable", "not defined", "multiple subparser", "cannot merge", "conflicting",
    "dest= is required", "invalid conflict_resolution", "invalid option string", "mutually exclusive",
    "is an invalid argument", 'argument "-" with mode', "deprecated", "must not",
    "invalid argument name",
)  # fmt: skip


def _messages() -> set[str]:
    calls = (
        node for node in ast.walk(parse(inspect.getsource(argparse))) if isinstance(node, ast.Call)
    )
    return {
        argument.value
        for call in calls if isinstance(call.func, ast.Name) and call.func.id in {"_", "ngettext"}
        for argument in call.args if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }  # fmt: skip


def test_every_message_for_people_is_translated() -> None:
    missing = {
        message for message in _messages() - set(CHINESE)
        if not any(words in message for words in NOT_FOR_PEOPLE)
    }  # fmt: skip
    assert missing == set()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status", "--lang", "zh", "--nonsense"], "story-agent：不认识的参数：--nonsense"),
        (["get", "--lang=zh"], "story-agent get：缺少参数：NAME"),
        (["listen", "--lang", "zh", "sing"], "没有 'sing'；可选："),
        (["get", "--lang", "en"], "error: the following arguments are required: NAME"),
    ],
)
def test_wrong_usage(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_help_is_chinese_throughout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORY_AGENT_LANG", "zh")
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert told.startswith("用法：story-agent")
    assert "options" not in told
    assert "检查机器" in told
