"""Sentences as commands, without a server; with one: tests/staging/recognition/test_path.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from staging.commands import cli
from tests.staging.commands.conftest import Command


def test_say_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["say", "0" * 14, "暂停", "--data", str(tmp_path)]) == 1
    assert "no story-cloud serves" in capsys.readouterr().err


def test_nothing_was_heard_yet(command: Command, mistake: Command) -> None:
    device = command("device", "add")["uuid"]
    assert command("heard", device) == {"outcomes": []}
    assert command("heard") == {"outcomes": []}
    assert "there is none" in mistake("heard", "f" * 14)


@pytest.mark.parametrize("limit", ["0", "-1", "x", "100000"])
def test_a_limit_that_is_none(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["heard", "--limit", limit])
    assert caught.value.code == 2
    assert f"got {limit!r}, expected 1 to" in capsys.readouterr().err
