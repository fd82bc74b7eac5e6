"""The machine's own checks: a folder of programs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from agent.updates.checks import CheckFolder
from tests.agent.parts import DEADLINE


def program(folder: Path, name: str, *lines: str, mode: int = 0o755) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    path.chmod(mode)
    return path


async def run(folder: Path, limit: float = DEADLINE) -> str | None:
    async with asyncio.timeout(DEADLINE):
        return await CheckFolder(folder, limit).run()


async def test_no_folder_and_an_empty_one_ask_for_nothing(tmp_path: Path) -> None:
    assert await run(tmp_path / "none") is None
    assert await run(tmp_path) is None


async def test_programs_run_by_name_until_one_fails(tmp_path: Path) -> None:
    log = tmp_path / "log"
    folder = tmp_path / "checks"
    program(folder, "20-lamp", f"echo lamp >>{log}", "echo warming up", "echo no lamp; exit 3")
    program(folder, "10-card", f"echo card >>{log}")
    program(folder, "30-later", f"echo later >>{log}")
    assert await run(folder) == "20-lamp: exit code 3: no lamp"
    assert log.read_text() == "card\nlamp\n"
    program(folder, "20-lamp", f"echo lamp >>{log}")
    assert await run(folder) is None


async def test_a_program_sees_no_secret_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORY_SECRET", "token-4711")
    program(tmp_path / "checks", "env", "env; exit 1")
    assert "token-4711" not in str(await run(tmp_path / "checks"))


async def test_a_program_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # Its child holds the pipe open until it exits.
    program(tmp_path / "checks", "hang", f"sleep 1000 >{fifo} &", "sleep 1000")
    reader = asyncio.create_task(asyncio.to_thread(fifo.read_bytes))
    assert await run(tmp_path / "checks", 0.2) == "hang: no end within 0.2 s"
    async with asyncio.timeout(DEADLINE):
        assert await reader == b""


async def test_what_a_program_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    """The program has exited, with 0 or not; a daemon that it started holds its output open."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    keep = os.open(fifo, os.O_RDWR)
    folder = tmp_path / "checks"
    program(folder, "daemon", f"setsid cat {fifo} &")
    assert await run(folder) is None
    program(folder, "daemon", f"setsid cat {fifo} &", "echo no lamp; exit 3")
    assert await run(folder) == "daemon: exit code 3: no lamp"
    os.close(keep)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [(["exit 1"], "exit code 1: it said nothing"), (["kill -9 $$"], "exit code -9: it said nothing"),
     (["head -c 300000 /dev/zero | tr '\\0' x; echo; exit 1"], "exit code 1: " + "x" * 200)],
)  # fmt: skip
async def test_each_bad_end_is_said_in_bounds(
    tmp_path: Path, lines: list[str], reason: str
) -> None:
    program(tmp_path / "checks", "check", *lines)
    assert await run(tmp_path / "checks") == f"check: {reason}"


async def test_what_is_no_program_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "checks"
    program(folder, "README", mode=0o644)
    (folder / "old").mkdir()
    assert await run(folder) is None
    assert "README is not executable, and not run" in caplog.text
    (folder / "broken").write_bytes(b"\x7fELF")
    (folder / "broken").chmod(0o755)
    assert await run(folder) == "broken: cannot be started: Exec format error"


async def test_a_folder_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert await run(file) == f"{file}: Not a directory"
