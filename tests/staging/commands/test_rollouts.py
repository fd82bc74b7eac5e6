"""Rollouts as commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from staging.commands import cli
from staging.data_dir import DataDir
from staging.store import Database, ota
from staging.store.models import Device
from tests.staging.commands.conftest import Command

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LOOK_LIMIT_MS = 60_000


@pytest.mark.usefixtures("no_repository")
def test_a_rollout_from_its_plan_to_its_end(
    command: Command, mistake: Command, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("batch", "add", "b", "--count", "10")
    command("release", "add", "f", "--version", "1.2")
    command("strategy", "add", "--version", "1.2", "--type", "silent")
    words = ("--phase", "10%", "--phase", "batch:b", "--phase", "100%", "--soak", "2h")
    plan = command("rollout", "phases", "1", *words, "--success", "99.5%", "--at-once", "5")
    assert [each["phase"] for each in plan["phases"]] == ["10%", "batch:b", "100%"]
    assert (plan["settings"]["soak"], plan["settings"]["success"]) == (7200, 99.5)
    assert command("rollout", "phases", "1", "--sample", "7")["settings"]["sample"] == 7
    assert command("rollout", "start", "1") == {
        "strategyId": 1, "status": "PUBLISHED", "open": 1, "running": 0, "dropped": 0, "retried": 0,
    }  # fmt: skip
    assert command("rollout", "pause", "1")["status"] == "PAUSED"
    assert 'state: got "PAUSED", expected PUBLISHED to open' in mistake("rollout", "open", "1")
    assert command("rollout", "resume", "1")["status"] == "PUBLISHED"
    assert command("rollout", "open", "1")["open"] == 2
    assert command("rollout", "retry", "1")["retried"] == 0
    shown = command("rollout", "show", "1")
    assert (shown["total"]["covered"], shown["total"]["held"]) == (10, 0)
    _take_one(data)
    assert "1 devices are busy with it; say what becomes of them: --finish or --cancel" in mistake(
        "rollout", "withdraw", "1"
    )
    assert cli.main(["rollout", "show", "1", "--data", str(data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "1 PUBLISHED SILENT to=1.2 product=story-machine",
        "phases: 10% (open), batch:b (open), 100%",
    ]
    assert "the next phase waits for soak: 0, wanted 7200" in lines
    assert lines[-1].split() == ["all", "10", "9", "1", "0", "0", "0", "0"]
    assert command("rollout", "withdraw", "1", "--cancel")["status"] == "WITHDRAWN"
    logged = command("audit", "list", "--limit", "20")["entries"]
    assert {"strategy.phases", "strategy.publish", "strategy.withdraw", "strategy.open"} <= {
        each["action"] for each in logged
    }


def _take_one(data: Path) -> None:
    database = Database(DataDir(data).database)

    def work(session: object) -> None:
        device = session.query(Device).first()  # type: ignore[attr-defined]
        ota.add_task(session, device, 1, 1, LOOK_LIMIT_MS).accepted = True  # type: ignore[arg-type]

    database.call(work)
    database.close()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--phase", "5%", "--phase", "1%"), 'phases[1]: got "1%", expected a share above 5%'),
        (("--phase", "some"), 'expected a share such as "10%"'),
        (("--phase", "1%", "--soak", "soon"), '--soak: got "soon", expected a time such as 90s'),
        (("--phase", "1%", "--success", "all"), '--success: got "all", expected a number'),
        (
            ("--phase", "1%", "--success", "101"),
            "--success: got 101, expected a number from 0 to 100",
        ),
        (("--phase", "1%", "--at-once", "0"), "--at-once: got 0"),
        (("--soak", "1h"), "phases: got [], expected phases for these settings"),
        (("--phase", "1%", "--success", "nan"), "--success"),
    ],
)
@pytest.mark.usefixtures("no_repository")
def test_what_is_no_plan_is_named(
    command: Command, mistake: Command, words: tuple[str, ...], named: str
) -> None:
    command("release", "add", "f", "--version", "1.2")
    command("strategy", "add", "--version", "1.2", "--type", "silent")
    assert named in mistake("rollout", "phases", "1", *words)


def test_a_strategy_that_is_none_is_named(mistake: Command) -> None:
    for name in ("show", "start", "pause", "resume", "retry", "open", "withdraw", "phases"):
        assert "strategy 9: there is none" in mistake("rollout", name, "9")
