"""Programs that are run to their end: what they print, say, and cost when they hang."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from machine.errors import UnavailableError
from machine.programs import run_program
from tests.machine.parts import until

DEADLINE = 30.0


def script(folder: Path, text: str) -> str:
    program = folder / "program"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return str(program)


def runs(folder: Path) -> bool:
    return Path("/proc", (folder / "pid").read_text().strip()).exists()


async def test_what_it_prints_is_returned_with_its_arguments_and_environment(
    tmp_path: Path,
) -> None:
    program = script(tmp_path, 'echo "$1 $LC_ALL $WORD"; cat')
    assert await run_program([program, "one"], DEADLINE, {"WORD": "two"}) == "one C two\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo first >&2; echo last >&2; exit 3", "program: last"),
        ("exit 3", "program: no reason given"),
        ("kill -9 $$", "program: no reason given"),
    ],
)
async def test_a_failure_is_told_in_its_own_words(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UnavailableError, match=f"^{reason}$"):
        await run_program([script(tmp_path, text)], DEADLINE, {})


async def test_one_that_cannot_be_started(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("")
    with pytest.raises(UnavailableError, match="program: cannot be started: Permission denied"):
        await run_program([str(tmp_path / "program")], DEADLINE, {})


async def test_one_that_hangs_is_killed_at_the_deadline(tmp_path: Path) -> None:
    program = script(tmp_path, f"echo $$ >{tmp_path}/pid; exec sleep 600")
    with pytest.raises(UnavailableError, match=r"program: has not ended in 0\.5 s"):
        await run_program([program], 0.5, {"PATH": "/usr/bin:/bin"})
    assert not runs(tmp_path)


async def test_one_that_nobody_waits_for_is_killed(tmp_path: Path) -> None:
    program = script(tmp_path, f"echo $$ >{tmp_path}/pid; exec sleep 600")
    running = asyncio.create_task(run_program([program], DEADLINE, {"PATH": "/usr/bin:/bin"}))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert not runs(tmp_path)
