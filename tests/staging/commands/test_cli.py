"""``story-cloud`` as people and scripts run it: one line for a mistake, and the default folder.

Tests staging.commands.common and staging.commands.exits too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from staging.commands import cli, exits, products
from staging.commands.common import DATABASE_VARIABLE
from staging.data_dir import DataDir
from staging.errors import StagingError
from tests.staging.commands.conftest import Cloud, run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("device", "add", "--uuid", "xyz"), 'uuid: got "xyz", expected 14 hexadecimal digits'),
        (("device", "profile", "f" * 14), f"device {'f' * 14}: there is none"),
        (("token", "--app", "99", "--user", "u"), "app 99: there is none"),
        (("app", "add", "a", "--type", "ios"), "--bundle-id missing"),
        (("app", "add", "a", "--type", "android"), "--package and --apk-signature missing"),
        (("release", "add", "none.tar", "--version", "9.0"), "there is no such file"),
        (("release", "add", "none.tar", "--version", "x"), 'version: got "x"'),
        (("strategy", "add", "--version", "9.9"), "version 9.9: there is no package"),
        (("strategy", "publish", "99"), "strategy 99: there is none"),
    ],
)
def test_mistakes_are_one_line(
    cloud: Cloud, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--data", str(cloud.data), "--json"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("story-cloud: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["strategy", "add", "--version", "\udcff"],
        ["account", "role", "\udcff", "operator"], ["say", "0" * 14, "\udcff"], ["sbom", "show", "\udcff"],
    ],
)  # fmt: skip
def test_bytes_that_are_no_text_are_a_mistake_and_no_traceback(
    cloud: Cloud, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--data", str(cloud.data)]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (
        "", 'story-cloud: word: got "\\\\xff", expected UTF-8 text\n',
    )  # fmt: skip


@pytest.mark.parametrize(
    "words",
    ["health --hours NaN", "audit list --limit ٣", "batch add b --count 1e3", "product add p --devices 1_0"],
)  # fmt: skip
def test_a_number_that_is_none_is_told_with_what_was_expected(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(words.split())
    assert (
        f'got "{words.rsplit(maxsplit=1)[-1]}", expected a whole number' in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rollout", "show", "9" * 25), "expected a number as `list` shows it"),
        (("alarm", "ack", "9" * 25), "expected a number as `list` shows it"),
        (("device", "profile", "f" * 14, "--device-port", "70000"), "expected a port from 1 to 65535"),
    ],
)  # fmt: skip
def test_numbers_that_nothing_has(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(list(words))
    assert said in capsys.readouterr().err


SERVERS_LIBRARIES = {"fastapi", "uvicorn", "httpx", "paho", "psycopg", "starlette", "pydantic"}
A_SUBJECTS_LIBRARIES = SERVERS_LIBRARIES | {"sqlalchemy", "cryptography", "asyncio", "tuf"}


# What `device list --csv`, `device tag` and `device bulk` alone need of the store.
OF_OTHER_COMMANDS = {"staging.store.overview", "staging.store.bulk", "staging.console"}


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (("--help",), A_SUBJECTS_LIBRARIES),
        (("nonsense",), A_SUBJECTS_LIBRARIES),
        (("device", "list"), SERVERS_LIBRARIES | {"cryptography"} | OF_OTHER_COMMANDS),
        (("say", "f" * 14, "停"), A_SUBJECTS_LIBRARIES),
        (("update", "cancel", "f" * 14), SERVERS_LIBRARIES | {"cryptography"}),
    ],
)
def test_a_command_waits_for_no_library_that_it_does_not_need(
    words: tuple[str, ...], unwanted: set[str], tmp_path: Path
) -> None:
    """They take most of a start: a script that adds a batch of devices runs many commands."""
    script = (
        "import sys\n"
        "from staging.commands import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print('|loaded', *{part for name in sys.modules for part in (name, name.partition('.')[0])})"
    )
    command = (sys.executable, "-c", script, "--data", str(tmp_path), *words)
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    loaded = done.stdout.rpartition("|loaded ")[2].split()
    assert "staging" in loaded
    assert set(loaded) & unwanted == set()


def test_each_subject_adds_the_commands_that_the_table_says() -> None:
    for subject, commands in cli.SUBJECTS.items():
        assert _commands_of(cli.build_parser([subject])) == dict(commands)


def _commands_of(parser: argparse.ArgumentParser) -> dict[str, str | None]:
    [action] = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    return {each.dest: each.help for each in action._choices_actions}


@pytest.mark.parametrize(
    ("words", "subjects"),
    [
        (["device", "list"], ["devices"]),
        (["--data", "device", "token", "--app", "1"], ["tokens"]),
        (["--data=serve", "--json", "heard", "say"], ["sentences"]),
        (["--datab", "serve", "worker"], ["serve"]),
        (["say", "-h"], ["sentences"]),
        ([], []),
        (["-h"], []),
        (["devise"], []),
        (["--data"], []),
        (["--json=1", "say"], []),
    ],
)
def test_only_the_subject_of_the_command_is_read(words: list[str], subjects: list[str]) -> None:
    assert list(cli.needed_subjects(words)) == subjects


def test_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    run("device", "add")
    assert (tmp_path / "story-cloud" / "cloud.sqlite").exists()
    assert (tmp_path / "story-cloud").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (StagingError("two\nlines"), exits.FAILED, "story-cloud: two lines\n"),
        (
            PermissionError(13, "Permission denied", "f"),
            exits.FAILED,
            "story-cloud: f: Permission denied\n",
        ),
        (OSError(28, "No space left"), exits.FAILED, "story-cloud: system: No space left\n"),
        (KeyboardInterrupt(), exits.INTERRUPTED, ""),
    ],
)
def test_how_a_command_ends(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(products, "_list", fail)
    assert cli.main(["product", "list"]) == code
    assert capsys.readouterr() == ("", line)
    assert (exits.DONE, exits.FAILED, exits.INTERRUPTED) == (0, 1, 130)


def test_options_are_taken_before_and_after_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, other = tmp_path / "before", tmp_path / "other.sqlite"
    assert cli.main(["--json", "--data", str(before), "product", "list"]) == 0
    assert capsys.readouterr().out == '{"products": []}\n'
    assert cli.main(["product", "list", "--data", str(before)]) == 0
    assert capsys.readouterr().out == "no products\n"
    assert DataDir(before).database.exists()
    monkeypatch.setenv(DATABASE_VARIABLE, f"sqlite:///{other}")
    assert cli.main(["product", "list", "--data", str(before)]) == 0
    assert other.exists()


@pytest.mark.parametrize(
    ("words", "output"),
    [("device list", "| true"), ("--help", "| true"), ("device list --json", "| head -c 1")],
)
def test_a_reader_who_goes_sees_no_traceback(cloud: Cloud, words: str, output: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"$0" -m staging.commands.cli {words} --data "$1" {output}',
         sys.executable, cloud.data],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
