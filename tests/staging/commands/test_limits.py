"""Each number of a command's words has the least and the most that its help or its refusal says, and no more."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from staging.commands import cli
from staging.fleet import cli as fleet
from staging.identity import passwords
from staging.store import devices

pytestmark = pytest.mark.one_database

# Words that a parser alone judges: {} is the number.
WORDS = [
    ("serve --voice-days {}", 0, 36_500),
    ("serve --report-days {}", 0, 36_500),
    ("serve --device-mb {}", 0, 36_500),
    ("serve --api-port {}", 0, 65_535),
    ("serve --device-port {}", 0, 65_535),
    ("serve --mqtt-port {}", 0, 65_535),
    ("worker --name a --voice-days {}", 0, 36_500),
    ("wire 0083000000000a --on {}", 1, 86_400),
    ("heard 0083000000000a --limit {}", 1, 100),
    ("device profile 0083000000000a --device-port {}", 1, 65_535),
    ("device profile 0083000000000a --api-port {}", 1, 65_535),
    ("worker --name a --api-port {}", 0, 65_535),
    ("advise 0083000000000a --seed {}", 0, 9_999_999_999),
    ("advise 0083000000000a --port {}", 1, 65_535),
    ("advise 0083000000000a --web-port {}", 1, 65_535),
    ("app secret renew {}", 0, 999_999_999_999_999_999),
]
# Words of a fleet: of the values the two in the middle are taken, and the next on either side are not.
FLEET = [
    ("--devices {}", "0 1 1000000 1000001"),
    ("--controls {}", "-1 0 1000000 1000001"),
    ("--rate {}", "0 0.001 1000000 1000000.5"),
    ("--hold {}", "0 0.001 1000000 1000000.5"),
    ("--report-every {}", "0 0.001 1000000 1000000.5"),
]
# Words that a command judges: the refusal has this in it.
RUN: list[tuple[Callable[[int], Sequence[str]], int | None, int, str]] = [
    (lambda n: ["audit", "list", "--limit", str(n)], 1, 1000, "limit: got"),
    (lambda n: ["health", "--hours", str(n)], 1, 960, "hours: got"),
    (lambda n: ["product", "add", "a" * n, "--devices", "0"], 1, 64, "name: got"),
    (lambda n: ["product", "add", f"p{n}", "--devices", str(n)], 0, 10_000, "count: got"),
    (lambda n: ["batch", "add", f"b{n}", "--count", str(n)], 0, 10_000, "count: got"),
    (lambda n: ["batch", "add", "b" * n, "--count", "0"], 1, 64, "name: got"),
    (lambda n: ["app", "add", "a" * n, "--type", "web"], 1, 64, "name: got"),
]


def parses(parser: argparse.ArgumentParser, words: Sequence[str]) -> bool:
    try:
        parser.parse_args(words)
    except SystemExit:
        return False
    return True


@pytest.mark.parametrize(("words", "low", "high"), WORDS)
def test_what_is_on_a_limit_is_taken_and_the_next_is_refused(
    words: str, low: int, high: int
) -> None:
    tried = [words.format(number).split() for number in (low - 1, low, high, high + 1)]
    taken = [parses(cli.build_parser(cli.needed_subjects(each)), each) for each in tried]
    assert taken == [False, True, True, False]


@pytest.mark.parametrize(("words", "values"), FLEET)
def test_so_do_the_words_of_a_fleet(words: str, values: str) -> None:
    tried = [["--data", "d", *words.format(value).split()] for value in values.split()]
    assert [parses(fleet.build_parser(), each) for each in tried] == [False, True, True, False]


def test_so_do_the_days_of_an_apt_repository(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is within the limits goes on to the folder, which is a file here."""
    (tmp_path / "file").touch()
    for days, is_taken in ((0, False), (1, True), (3650, True), (3651, False)):
        words = ["apt-repo", str(tmp_path / "r"), "--valid-days", str(days)]
        assert cli.main([*words, "--data", str(tmp_path / "file")]) == 1
        assert (f"--valid-days: got {days}, expected 1 to 3650" in capsys.readouterr().err) is not is_taken  # fmt: skip


def numbers(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Return the options of a parser and of its commands that are read by a function of their own."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from numbers(command)
        elif action.option_strings and action.type not in {None, str, Path}:
            yield action


def test_each_option_that_is_a_number_is_one_of_these_and_takes_its_own_default() -> None:
    rows = [*(row[0] for row in WORDS), *(row[0] for row in FLEET)]
    tried = {word for words in rows for word in words.split() if word.startswith("--")} - {"--name"}
    tried |= {"--limit", "--hours", "--devices", "--count", "--valid-days"}  # of `RUN`, and of apt
    others = {"--public-host", "--app", "--trusted-proxy"}  # names, ids, networks
    found = [*numbers(cli.build_parser()), *numbers(fleet.build_parser())]
    assert {word for action in found for word in action.option_strings} == tried | others
    for action in found:
        # Of these two none is told without the option: the running cloud leads the device, and any port serves its updates.
        is_told = action.option_strings[0] not in {"--port", "--web-port"}
        if is_told and action.default not in (None, argparse.SUPPRESS, []):
            assert callable(action.type)
            assert action.type(str(action.default)) == action.default, action.option_strings


def test_a_cloud_that_is_told_nothing_serves_at_the_ports_of_docs_staging() -> None:
    options = cli.build_parser().parse_args(["serve"])
    assert (options.api_port, options.device_port, options.voice_days) == (8080, 9001, 30)


@pytest.mark.parametrize(("words", "low", "high", "says"), RUN)
def test_so_do_numbers_that_a_command_judges(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    words: Callable[[int], Sequence[str]], low: int, high: int, says: str,
) -> None:  # fmt: skip
    # Ten thousand devices take seconds, and what is asked is whether they would be made.
    monkeypatch.setattr(devices, "make", lambda *_: [])

    def said(number: int) -> tuple[int, bool]:
        return cli.main([*words(number), "--data", str(data)]), says in capsys.readouterr().err

    assert [said(number) for number in (low, high)] == [(0, False)] * 2
    assert [said(number) for number in (low - 1, high + 1)] == [(1, True)] * 2


def test_so_does_a_password(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "COST", 2**4)
    file = tmp_path / "password"

    def is_taken(length: int) -> bool:
        file.write_text("p" * length)
        words = ["account", "add", f"a{length}", "--password-file", str(file), "--data", str(data)]
        code, said = cli.main(words), capsys.readouterr().err
        assert code == 0 or "8 to 256 characters" in said
        return code == 0

    assert [is_taken(length) for length in (7, 8, 256, 257)] == [False, True, True, False]
