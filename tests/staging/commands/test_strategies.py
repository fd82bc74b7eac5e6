"""Strategies as commands: what a plan restricts, and when it takes effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from staging.commands import cli
from tests.staging.commands.conftest import Command


@pytest.mark.usefixtures("no_repository")
def test_a_plan_is_published_and_withdrawn(
    command: Command, mistake: Command, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--version", "1.2")
    command("batch", "add", "b", "--count", "1")
    command("release", "add", "f", *at)
    limits = ("--from", "1.0", "--from", "1.1", "--batch", "b", "--forced")
    plan = command("strategy", "add", *at, "--type", "silent", *limits)
    assert (plan["status"], plan["type"], plan["forced"]) == ("DRAFT", "SILENT", True)
    assert (plan["from"], plan["batches"]) == (["1.0", "1.1"], ["b"])
    assert command("strategy", "add", *at)["type"] == "PASSIVE"
    assert command("strategy", "publish", "1")["status"] == "PUBLISHED"
    assert command("strategy", "withdraw", "1")["status"] == "WITHDRAWN"
    assert cli.main(["strategy", "list", "--data", str(data)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 WITHDRAWN SILENT to=1.2 from=1.0,1.1 batch=b forced",
        "2 DRAFT PASSIVE to=1.2 from=any older batch=any",
    ]
    assert 'from: got "old"' in mistake("strategy", "add", *at, "--from", "old")
    assert "strategy 9: there is none" in mistake("strategy", "withdraw", "9")
