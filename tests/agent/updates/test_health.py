"""The health checks of a new version: each check, their order, and the machine's own programs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import agent.updates.health
from agent.local.http import unix_socket
from agent.settings import HealthSettings, SoundCheck
from agent.updates.checks import CheckFolder
from agent.updates.health import Health, build_health, note_sound, sound_needed, why_not_heard
from machine.chime import SoundProof
from tests.agent.local.test_http import Bench, serving
from tests.agent.parts import DEADLINE

HEARD, NO_DEVICE, NO_PLAYER = SoundProof("pulse"), SoundProof("null"), SoundProof(None, "no libmpv")
STILL, STILL_NOWHERE = SoundProof("pulse", "it stands still"), SoundProof("null", "it stands still")
GONE = "there is no sound device, and there was one before"


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.updates.health, "RETRY_FIRST", 0.0)


@pytest.mark.parametrize(
    ("proof", "needed", "why"),
    [
        (HEARD, True, None), (HEARD, False, None),
        (NO_DEVICE, True, GONE), (NO_DEVICE, False, None),
        (NO_PLAYER, True, "no libmpv"), (NO_PLAYER, False, None),
        (STILL, True, "it stands still"), (STILL, False, "it stands still"),
        (STILL_NOWHERE, True, "it stands still"), (STILL_NOWHERE, False, "it stands still"),
    ],
)  # fmt: skip
def test_a_chime_is_judged_by_what_the_machine_could_do(
    proof: SoundProof, *, needed: bool, why: str | None
) -> None:
    assert why_not_heard(proof, needed=needed) == why


@pytest.mark.parametrize("proof", [HEARD, NO_DEVICE, NO_PLAYER, STILL])
def test_auto_asks_for_what_the_version_before_has_noted(tmp_path: Path, proof: SoundProof) -> None:
    (tmp_path / "ota").mkdir()
    note_sound(tmp_path, proof)
    assert sound_needed(SoundCheck.AUTO, tmp_path) is proof.is_heard
    assert sound_needed(SoundCheck.DEVICE, tmp_path)


@pytest.mark.parametrize("note", [None, b"", b"\xff", b'{"heard": "yes"}', b"[]", b'{"output": 1}'])
def test_auto_asks_for_less_where_there_is_no_note(tmp_path: Path, note: bytes | None) -> None:
    (tmp_path / "ota").mkdir()
    if note is not None:
        (tmp_path / "ota" / "sound.json").write_bytes(note)
    assert not sound_needed(SoundCheck.AUTO, tmp_path)


class Parts:
    """A machine whose parts all work, until the test breaks one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registered = asyncio.Event()
        self.chimes: list[int] = []
        self.proofs = [HEARD]

    async def chime(self, volume: int) -> SoundProof:
        self.chimes.append(volume)
        return self.proofs.pop(0) if len(self.proofs) > 1 else self.proofs[0]

    def health(self, sound: SoundCheck = SoundCheck.AUTO) -> Health:
        settings = HealthSettings(sound=sound, chime_volume=7, checks_folder=Path("checks"))
        path = self.folder / "agent.sock"
        return build_health(settings, self.folder, self.registered, path, self.chime)


async def turn_until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0)


async def test_every_part_is_asked_in_order_and_the_missing_one_is_named(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.proofs = [STILL, HEARD]
    health = parts.health()
    assert health.missing == "nothing was checked yet"
    proof = asyncio.create_task(health.proven())
    await turn_until(lambda: health.missing == "registration: not known yet")
    parts.registered.set()
    await turn_until(lambda: health.missing.startswith("self-description: no agent runs on "))
    assert not parts.chimes
    async with serving(Bench().dispatch, tmp_path / "agent.sock"):
        async with asyncio.timeout(DEADLINE):
            await proof
    assert parts.chimes == [7, 7]  # the first did not advance
    assert health.missing == ""


async def test_what_is_missing_is_said_once_and_kept_for_the_report(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = Parts(tmp_path)
    parts.proofs = [STILL]
    parts.registered.set()
    health = parts.health()
    async with serving(Bench().dispatch, tmp_path / "agent.sock"):
        proof = asyncio.create_task(health.proven())
        await turn_until(lambda: len(parts.chimes) > 2)
        proof.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await proof
    assert health.missing == "sound: it stands still"
    assert caplog.text.count("health check not passed yet: sound: it stands still") == 1


async def test_the_machines_own_checks_come_last(tmp_path: Path) -> None:
    program(tmp_path / "checks", "lamp", f"[ -e {tmp_path}/lit ] || {{ echo dark; exit 1; }}")
    parts = Parts(tmp_path)
    parts.registered.set()
    health = parts.health()
    async with serving(Bench().dispatch, tmp_path / "agent.sock"):
        proof = asyncio.create_task(health.proven())
        await turn_until(lambda: health.missing == "checks: lamp: exit code 1: dark")
        (tmp_path / "lit").touch()
        async with asyncio.timeout(DEADLINE):
            await proof


async def test_a_check_that_raises_is_missing_and_does_not_end_the_agent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []

    async def check() -> str | None:
        asked.append("once")
        if len(asked) == 1:
            raise AttributeError("undefined symbol: mpv_render")
        return None

    await Health([("sound", check)]).proven()
    assert len(asked) == 2
    assert "sound: AttributeError: undefined symbol: mpv_render" in caplog.text


async def test_without_the_sound_check_nothing_rings(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.registered.set()
    async with serving(Bench().dispatch, tmp_path / "agent.sock"):
        async with asyncio.timeout(DEADLINE):
            await parts.health(SoundCheck.OFF).proven()
    assert not parts.chimes


async def test_a_socket_that_answers_something_else_is_no_self_description(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    parts = Parts(tmp_path)
    parts.registered.set()
    health = parts.health()
    with unix_socket(tmp_path / "agent.sock") as bound:
        server = await asyncio.start_unix_server(answer, sock=bound)
        proof = asyncio.create_task(health.proven())
        expected = "self-description: GET /resource is answered 503, expected 200 and data points"
        await turn_until(lambda: health.missing == expected)
        proof.cancel()
        server.close()


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


def test_the_log_of_a_check_is_its_own(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        asyncio.run(Health([("nothing", _holds)]).proven())
    assert "health check passed: nothing" in caplog.text


async def _holds() -> None:
    return
