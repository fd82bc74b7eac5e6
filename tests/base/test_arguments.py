"""Words of a command line in any order, and its numbers."""

from __future__ import annotations

import argparse
import itertools

import pytest

from base.arguments import Parser, whole


def _parser() -> Parser:
    parser = Parser(prog="x")
    commands = parser.add_subparsers(required=True)
    lan = commands.add_parser("lan")
    lan.add_argument("action", nargs="?", default="list", choices=["list", "add"])
    lan.add_argument("name", nargs="?")
    lan.add_argument("--state")
    lan.add_argument("--json", action="store_true")
    lan.add_argument("--wav", nargs="+")
    lan.add_argument("--on", nargs="?", const="60")
    fault = commands.add_parser("fault")
    fault.add_argument("uuid")
    fault.add_argument("settings", nargs="*")
    fault.add_argument("--data")
    fault.add_argument("--database")
    return parser


@pytest.mark.parametrize("order", sorted(itertools.permutations(
    [("add",), ("kitchen",), ("--state", "S"), ("--json",)]
)))  # fmt: skip
def test_options_may_stand_anywhere(order: tuple[tuple[str, ...], ...]) -> None:
    words = [word for each in order for word in each]
    if words.index("kitchen") < words.index("add"):
        return  # the order of the positional arguments themselves says which is which
    read = _parser().parse_args(["lan", *words])
    assert (read.action, read.name, read.state, read.json) == ("add", "kitchen", "S", True)


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["u", "--data", "d", "a=1", "b=2"], ["a=1", "b=2"]),
        (["u", "a=1", "--data=d", "b=2"], ["a=1", "b=2"]),
        (["--data", "d", "u"], []),
        (["u", "--data", "d", "--", "-a", "--data"], ["-a", "--data"]),
        (["u", "a=1", "--", "-b", "--data"], ["a=1", "-b", "--data"]),
        (["u", "a=1", "-1", "--data", "d", "-.5"], ["a=1", "-1", "-.5"]),
    ],
)
def test_what_is_repeated_may_be_parted_by_options(words: list[str], settings: list[str]) -> None:
    read = _parser().parse_args(["fault", *words])
    assert (read.uuid, read.settings) == ("u", settings)
    assert read.data == ("d" if "d" in words or "--data=d" in words else None)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["add", "--wav", "a", "b", "--json", "kitchen"], {"wav": ["a", "b"], "name": "kitchen"}),
        (["add", "--on", "--json", "kitchen"], {"on": "60", "name": "kitchen"}),
        (["add", "--on=5", "kitchen"], {"on": "5", "name": "kitchen"}),
        (["add", "--sta", "S", "kitchen"], {"state": "S", "name": "kitchen"}),
        (["--wav", "a"], {"wav": ["a"], "action": "list", "name": None}),
        (["add", "--json", "-"], {"name": "-"}),
        ([], {"action": "list", "name": None}),
    ],
)
def test_values_stay_with_their_option(words: list[str], expected: dict[str, object]) -> None:
    read = vars(_parser().parse_args(["lan", *words]))
    assert {name: read[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lan", "add", "--state"], "--state: expected one argument"),
        (["lan", "add", "--nope", "kitchen"], "unrecognized arguments: --nope"),
        (["lan", "add", "a", "--json", "b"], "unrecognized arguments: b"),
        (["lan", "--json", "drop"], "invalid choice: 'drop'"),
        (["fault", "--data", "d"], "required: uuid"),
        (["fault", "u", "--dat", "d"], "ambiguous option: --dat"),
    ],
)
def test_what_is_wrong_is_told_as_argparse_does(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        _parser().parse_args(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("-0", 0), ("-7", -7), ("007", 7), ("9" * 18, 10**18 - 1)]
)
def test_whole_numbers(text: str, number: int) -> None:
    assert whole(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "-", "--1", "+1", " 1", "1 ", "1_0", "1.0", "1e3", "NaN", "٣", "²", "9" * 400],
)
def test_what_is_no_whole_number_is_told_with_what_was_expected(text: str) -> None:
    with pytest.raises(
        argparse.ArgumentTypeError, match=r"^got \".*, expected a whole number"
    ) as told:
        whole(text)
    assert len(str(told.value)) < 200
