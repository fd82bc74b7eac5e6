"""Numbers of a command line: each has the least and the most that its refusal tells, and a default between them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli import main
from agent.parser import build_parser

# A command's words, {} is the number; values of which the two in the middle are taken, and the next on either side are not.
BOUNDS = [
    ("provision --wait {}", "-0.001 0 3600 3600.001"),
    ("selftest --button-seconds {}", "-0.001 0 3600 3600.001"),
    ("status --interval {}", "0.0999 0.1 3600 3600.001"),
    ("wake test --hours {}", "0.0009 0.001 168 168.001"),
    ("wake enrol a --takes {}", "2 3 6 7"),
    ("bench-helper --token-file x --port {}", "-1 0 65535 65536"),
]


def parses(words: str) -> bool:
    try:
        build_parser().parse_args(words.split())
    except SystemExit:
        return False
    return True


@pytest.mark.parametrize(("words", "values"), BOUNDS)
def test_what_is_on_a_limit_is_taken_and_the_next_is_refused(words: str, values: str) -> None:
    taken = [parses(words.format(value)) for value in values.split()]
    assert taken == [False, True, True, False]


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Return the options of a parser and of its commands that are read by a function of their own."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options(command)
        elif action.type not in {None, str, Path}:
            yield action


def test_each_option_that_is_a_number_is_one_of_these_and_takes_its_own_default() -> None:
    found = list(options(build_parser()))
    assert {word for action in found for word in action.option_strings} == {
        word for words, _ in BOUNDS for word in words.split() if word.startswith("--") and words.endswith(f"{word} {{}}")
    }  # fmt: skip
    for action in found:
        assert callable(action.type)
        value = action.type(str(action.default))
        assert value == action.default
        assert action.choices is None or value in action.choices


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["provision", "--lang", "en", "--wait", "soon"], "--wait: got 'soon', expected 0 to 3600 seconds"),
        (["selftest", "--lang", "zh", "--button-seconds", "-1"], "--button-seconds：得到 '-1'，应为 0 到 3600 秒"),
        (["status", "--lang", "en", "--interval", "nan"], "--interval: got 'nan', expected 0.1 to 3600 seconds"),
        (["wake", "test", "--lang", "zh", "--hours", "1e3"], "--hours：得到 '1e3'，应为 0.001 到 168 小时"),
        (["bench-helper", "--lang", "en", "--token-file", "x", "--port", "99999"], "--port: got '99999', expected a port from 0 to 65535"),
    ],
)  # fmt: skip
def test_what_was_expected_is_told(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
