"""Numbers of the proofs' command lines."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

import pytest

from tools.amounts import amount, whole
from tools.syntax import parse

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (whole(1), "1", 1), (whole(0), "0", 0), (whole(1, 65535), "65535", 65535),
        (amount(), "0.002", 0.002), (amount(or_equal=True), "0", 0.0), (amount(0.5, or_equal=True), "0.5", 0.5),
    ],
)  # fmt: skip
def test_a_number_within_its_bounds_is_taken(
    read: argparse._ActionType, text: str, value: float
) -> None:
    assert callable(read)
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (whole(1), "0", "a whole number of at least 1"), (whole(0), "-1", "a whole number of at least 0"),
        (whole(1), "abc", "a whole number of at least 1"), (whole(1), "1.5", "a whole number of at least 1"),
        (whole(1, 65535), "65536", "a whole number from 1 to 65535"), (whole(1), "", "a whole number of at least 1"),
        (amount(), "0", "a number above 0"), (amount(), "nan", "a number above 0"), (amount(), "inf", "a number above 0"),
        (amount(), "-3", "a number above 0"), (amount(or_equal=True), "-0.1", "a number of at least 0"),
        (amount(0.5, or_equal=True), "0.4", "a number of at least 0.5"), (amount(), "x", "a number above 0"),
    ],
)  # fmt: skip
def test_another_one_is_told_with_what_was_expected(
    read: argparse._ActionType, text: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=read)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args([f"--days={text}"])
    assert ended.value.code == 2
    assert f"argument --days: got {text!r}, expected {expected}" in capsys.readouterr().err


def options(file: Path) -> list[ast.Call]:
    """The calls in a file that give a command line an option."""
    calls = (
        node for node in ast.walk(parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)
    )
    return [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"]  # fmt: skip


def test_each_number_of_a_proof_s_command_line_has_its_bounds() -> None:
    bounded, bare = 0, []
    for file in sorted(TOOLS.rglob("*.py")):
        for call in options(file):
            words = {each.arg: ast.unparse(each.value) for each in call.keywords}
            kind = words.get("type", "")
            bounded += kind.startswith(("whole(", "amount("))
            if kind in {"int", "float"} and "choices" not in words:
                bare.append(f"{file.name}:{call.lineno}")
    assert bare == []
    assert bounded > 30
