"""What systemd says of the service, as causes; agent.unreachable too."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.local.client import AgentUnreachableError, LocalClient
from agent.unit import Unit, ask_systemd, judge, last_line, parse_unit, run_program
from agent.unreachable import UNIT_STATE, explain_silence

SHOWN = """LoadState=loaded
ActiveState=activating
SubState=auto-restart
UnitFileState=enabled
Result=exit-code
ExecMainCode=1
ExecMainStatus=78
NRestarts=11
StatusText=online = yes
"""


def test_the_output_of_systemctl() -> None:
    unit = parse_unit(SHOWN)
    assert unit == Unit(
        "loaded", "activating", "auto-restart", "enabled", "exit-code", 78, 11, "online = yes"
    )
    assert not unit.runs
    assert parse_unit("NRestarts=²\nnonsense\n=\n") == Unit()


RUNNING = Unit("loaded", "active", "running", "enabled", "success")


@pytest.mark.parametrize(
    ("unit", "cause", "remedy"),
    [
        (parse_unit(SHOWN), "the agent ends again and again: its settings or its profile cannot be used (78); 11 restarts so far", "doctor"),
        (Unit("not-found", "inactive", "dead"), "the service story-agent.service is not installed", "install"),
        (Unit("masked", "inactive", "dead"), "the service is masked", "unmask"),
        (Unit("loaded", "failed", "failed", "enabled", "signal", 11), "the agent has ended: it was ended by SIGSEGV", "journalctl"),
        (Unit("loaded", "failed", "failed", "enabled", "signal", 99), "the agent has ended: it was ended by 99", "journalctl"),
        (Unit("loaded", "failed", "failed", "enabled", "oom-kill", 9), "the agent has ended: the system ended it for want of memory", "journalctl"),
        (Unit("loaded", "activating", "auto-restart", "enabled", "watchdog", 6, 3), "the agent ends again and again: it hung, and the watchdog ended it; 3 restarts so far", "journalctl"),
        (Unit("loaded", "activating", "auto-restart", "enabled", "exit-code", 203, 1), "the agent ends again and again: its program cannot be started: missing or damaged; 1 restarts so far", "doctor"),
        (Unit("loaded", "activating", "auto-restart", "enabled", "exit-code", 1, 1), "the agent ends again and again: it ended with exit code 1; 1 restarts so far", "doctor"),
        (Unit("loaded", "failed", "failed", "enabled", "success"), "the agent has ended: the reason is not known", "doctor"),
        (Unit("loaded", "activating", "start", "enabled", "success"), "the agent is starting", "wait"),
        (RUNNING, "systemd says that it runs, and it does not answer", "restart"),
        (Unit("loaded", "inactive", "dead", "disabled", "success"), "the service is stopped, and does not start with the machine", "enable --now"),
        (Unit("loaded", "inactive", "dead", "enabled", "success"), "the service is stopped", "start"),
    ],
)  # fmt: skip
def test_causes(unit: Unit, cause: str, remedy: str) -> None:
    told, do = judge(unit)
    assert told.en == cause
    assert remedy in do.en
    assert told.zh != told.en


def test_a_system_without_systemd_knows_nothing() -> None:
    assert ask_systemd(lambda _: None) is None
    assert ask_systemd(lambda _: "\n") is None
    assert last_line(lambda _: None) == ""
    assert last_line(lambda _: "a\nstory-agent: b\n") == "story-agent: b"
    assert len(last_line(lambda _: "x" * 1000)) == 300


def test_programs_that_are_missing_or_fail_say_nothing() -> None:
    assert run_program(["echo", "x"]) == "x\n"
    assert run_program(["false"]) is None
    assert run_program(["/nowhere/systemctl"]) is None


def silence(path: Path) -> AgentUnreachableError:
    with pytest.raises(AgentUnreachableError) as raised:
        LocalClient(path / "agent.sock", 0.01).request("GET", "/status")
    return raised.value


def fake(words: Sequence[str]) -> str:
    return SHOWN if words[0] == "systemctl" else "story-agent: profile: broken\n"


def test_the_unit_is_asked_about_its_own_state_folder_alone(tmp_path: Path) -> None:
    error = silence(tmp_path)
    cause, remedy = explain_silence(error, tmp_path, fake)
    assert cause.en == f"no agent runs on {tmp_path}/agent.sock"
    assert "--state" in remedy.en
    cause, remedy = explain_silence(error, UNIT_STATE, fake)
    assert cause.en.endswith("11 restarts so far; its last error: story-agent: profile: broken")
    assert "已重启 11 次" in cause.zh
    assert "doctor" in remedy.zh


def test_one_that_is_silent_hangs(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "agent.sock"))
        server.listen()
        cause, remedy = explain_silence(silence(tmp_path), tmp_path, fake)
    assert "does not answer: timed out" in cause.en
    assert remedy.en == "restart the agent"


def test_a_stranger_is_told_of_sudo(tmp_path: Path) -> None:
    error = AgentUnreachableError("x", tmp_path)
    error.__cause__ = PermissionError(errno.EACCES, "Permission denied")
    cause, remedy = explain_silence(error, UNIT_STATE, fake)
    assert cause.en == f"only root and the agent's user may use {tmp_path}"
    assert "sudo" in remedy.zh
