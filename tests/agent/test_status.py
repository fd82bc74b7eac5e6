"""``story-agent status``: once, with ``--check``, again and again, and when there is no agent."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent import status
from agent.cli import main
from agent.exits import EX_FAILED, EX_OK
from agent.status import run_status
from agent.words import Words
from tests.agent.test_commands import Script, run
from tests.agent.test_commands import script as script  # noqa: PLC0414  # a fixture

ONLINE = {"link": {"state": "online", "server": "c:1"}}
WAITING = {
    "link": {
        "state": "waiting",
        "last_error": "cannot connect: Connection refused",
        "server": "c:1",
    }
}
CALM = "online, registered with c:1"
REFUSED = "it is offline: cannot connect: nothing listens at this port (connection refused)"


@pytest.mark.parametrize(
    ("status", "code", "said"), [(ONLINE, EX_OK, f"{CALM}\n"), (WAITING, EX_FAILED, f"{REFUSED}\n")]
)
def test_check_is_for_scripts(
    script: Script,
    capsys: pytest.CaptureFixture[str],
    status: dict[str, object],
    code: int,
    said: str,
) -> None:
    script.has("GET /status", status)
    assert run(script, "status", "--check") == code
    assert capsys.readouterr().out == said
    assert run(script, "status", "--check", "--json") == code
    assert json.loads(capsys.readouterr().out) == status
    assert run(script, "status") == EX_OK


def test_a_refusal_is_one_line(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    script.has("GET /status", b"too many requests at once\n", 503)
    assert run(script, "status") == EX_FAILED
    assert capsys.readouterr() == ("", "story-agent: too many requests at once\n")


def test_what_the_import_left_on_the_boot_partition_is_told(
    script: Script, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script.has("GET /status", ONLINE)
    monkeypatch.setattr(status, "left_over", lambda _: (Words("甲", "why"), Words("乙", "do that")))
    assert run(script, "status") == EX_OK
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(status, "UNIT_STATE", Path(str(script.server_address)).parent)
    assert run(script, "status") == EX_OK
    assert capsys.readouterr().err == "why\n    → do that\n"


def options_for(state: Path, **more: object) -> argparse.Namespace:
    told = {"watch": True, "json": False, "check": False, "interval": 2.0, "state": state}
    return argparse.Namespace(**(told | more))


def watched(script: Script, looks: list[object], **more: object) -> tuple[int, list[float]]:
    """Watch while the agent tells what ``looks`` has, then press Ctrl-C."""
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        if len(waited) == len(looks):
            raise KeyboardInterrupt
        script.has("GET /status", looks[len(waited)])
        return True

    script.has("GET /status", looks[0])
    state = Path(str(script.server_address)).parent
    return run_status(options_for(state, **more), wait), waited


def test_watch_into_a_pipe_has_a_line_for_each_change(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    code, waited = watched(script, [ONLINE, ONLINE, WAITING, ONLINE])
    assert (code, waited) == (EX_OK, [2.0] * 4)
    told = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert told == [CALM, REFUSED, CALM]


def test_watch_as_json_has_an_object_a_line(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watched(script, [ONLINE, WAITING], json=True)[0] == EX_OK
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [ONLINE, WAITING]


def test_watch_goes_on_while_no_agent_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def wait(_: float) -> bool:
        raise KeyboardInterrupt

    assert run_status(options_for(tmp_path), wait) == EX_OK
    assert f"no agent runs on {tmp_path}/agent.sock →" in capsys.readouterr().out


def test_watch_ends_when_nobody_reads_it(tmp_path: Path) -> None:
    """Nothing changes, so nothing is printed by which it would hear of it."""
    watching = subprocess.run(
        ["bash", "-c", 'exec 2>&1; "$0" -m agent.cli status --watch --interval 3600 --state "$1" | head -1',
         sys.executable, tmp_path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert watching.returncode == 0
    assert len(watching.stdout.splitlines()) == 1
    assert "no agent runs" in watching.stdout


@pytest.mark.parametrize("interval", ["0", "nan", "x", "3601"])
def test_an_interval_has_limits(interval: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["status", "--interval", interval])
    assert "--interval" in capsys.readouterr().err
