"""The command: all checks run, none spoils another, and the exit code says whether something is wrong."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.doctor import command
from agent.doctor.findings import Finding, Level, bad, good
from agent.doctor.patient import Patient
from agent.words import Words
from tests.agent.doctor.doctor_parts import make_patient


def fine(_patient: Patient) -> Finding:
    return good("fine", "好", "fine")


def several(_patient: Patient) -> Iterator[Finding]:
    yield good("one", "一", "one")
    yield good("two", "二", "two")


async def hangs(_patient: Patient) -> Finding:
    await asyncio.Event().wait()
    raise AssertionError


def breaks(_patient: Patient) -> Iterator[Finding]:
    yield good("lost", "丢", "lost")
    raise KeyError("x")


async def test_a_check_that_breaks_is_a_finding(tmp_path: Path) -> None:
    checks: dict[str, command.Check] = {"breaks": breaks, "fine": fine, "several": several}
    found = await command.examine(make_patient(tmp_path), checks)
    assert [(f.check, f.level, f.cause.en) for f in found] == [
        ("breaks", Level.BAD, "the check itself failed: KeyError: 'x'"),
        ("fine", Level.GOOD, "fine"),
        ("one", Level.GOOD, "one"),
        ("two", Level.GOOD, "two"),
    ]


async def test_a_check_that_hangs_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "CHECK_SECONDS", 0.05)
    (found,) = await command.examine(make_patient(tmp_path), {"hangs": hangs})
    assert (found.check, found.level, found.cause.en) == ("hangs", Level.BAD, "no result in 0.05 s")


@pytest.mark.parametrize(("wrong", "code"), [(True, 1), (False, 0)])
def test_the_exit_code_and_the_languages(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: int,
    *,
    wrong: bool,
) -> None:
    def one(_patient: Patient) -> Finding:
        return bad("x", Words("坏", "broken"), Words("修", "mend")) if wrong else fine(_patient)

    monkeypatch.setattr(command, "CHECKS", {"x": one})
    options = argparse.Namespace(
        state=tmp_path, profile=tmp_path / "p", config=None, fix=False, json=False, chime=False
    )
    monkeypatch.delenv("STORY_AGENT_LANG")
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    assert command.run_doctor(options) == code
    assert ("mend" in capsys.readouterr().out) is wrong
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert command.run_doctor(options) == code
    assert ("修" in capsys.readouterr().out) is wrong
    options.json = True
    assert command.run_doctor(options) == code
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is not wrong
    assert told["findings"][0]["level"] == ("bad" if wrong else "good")


def test_fix_says_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def mended(_patient: Patient) -> list[Words]:
        return [Words("改了", "mended it")]

    monkeypatch.setattr(command, "CHECKS", {"fine": fine})
    monkeypatch.setattr(command, "mend", mended)
    monkeypatch.delenv("STORY_AGENT_LANG")
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    options = argparse.Namespace(
        state=tmp_path, profile=tmp_path / "p", config=None, fix=True, json=False, chime=False
    )
    assert command.run_doctor(options) == 0
    assert capsys.readouterr().out.startswith("* mended it\n✓ fine: fine\n")


def test_the_whole_command_on_this_machine(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "doctor", "--json", "--state", str(tmp_path),
         "--profile", str(tmp_path / "profile.json")],
        check=False, capture_output=True, text=True, timeout=60, env={"LC_ALL": "en_US.UTF-8", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert {*command.CHECKS} <= {finding["check"] for finding in told["findings"]}
    assert list(tmp_path.iterdir()) == []
