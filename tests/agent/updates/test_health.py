"""The health checks of a new version: each check, their order, and the machine's own programs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

import agent.updates.health
from agent.local.sockets import unix_socket
from agent.settings import HealthSettings, SoundCheck
from agent.updates.health import Health, build_health, find_sound_fault, note_sound, sound_needed
from machine.chime import SoundProof
from tests.agent.local.rig import Bench, serving
from tests.agent.parts import DEADLINE
from tests.agent.updates.test_checks import program

HEARD, NO_DEVICE, NO_PLAYER = SoundProof("pulse"), SoundProof("null"), SoundProof(None, "no mpv")
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
        (NO_PLAYER, True, "no mpv"), (NO_PLAYER, False, None),
        (STILL, True, "it stands still"), (STILL, False, "it stands still"),
        (STILL_NOWHERE, True, "it stands still"), (STILL_NOWHERE, False, "it stands still"),
    ],
)  # fmt: skip
def test_a_chime_is_judged_by_what_the_machine_could_do(
    proof: SoundProof, *, needed: bool, why: str | None
) -> None:
    assert find_sound_fault(proof, needed=needed) == why


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
    proof = asyncio.create_task(health.wait_until_passed())
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
        proof = asyncio.create_task(health.wait_until_passed())
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
        proof = asyncio.create_task(health.wait_until_passed())
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

    await Health([("sound", check)]).wait_until_passed()
    assert len(asked) == 2
    assert "sound: AttributeError: undefined symbol: mpv_render" in caplog.text


async def test_without_the_sound_check_nothing_rings(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.registered.set()
    async with serving(Bench().dispatch, tmp_path / "agent.sock"):
        async with asyncio.timeout(DEADLINE):
            await parts.health(SoundCheck.OFF).wait_until_passed()
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
        proof = asyncio.create_task(health.wait_until_passed())
        expected = "self-description: GET /resource is answered 503, expected 200 and data points"
        await turn_until(lambda: health.missing == expected)
        proof.cancel()
        server.close()


def test_the_log_of_a_check_is_its_own(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        asyncio.run(Health([("nothing", _holds)]).wait_until_passed())
    assert "health check passed: nothing" in caplog.text


async def _holds() -> None:
    return


async def test_a_version_lacks_the_cloud_only_while_its_check_is_the_one_under_way() -> None:
    there, later = asyncio.Event(), asyncio.Event()

    async def wait_for(event: asyncio.Event) -> None:
        await event.wait()

    health = Health([("registration", lambda: wait_for(there)), ("sound", lambda: wait_for(later))])
    seen = [health.lacks_cloud]
    proving = asyncio.create_task(health.wait_until_passed())
    await asyncio.sleep(0)
    seen.append(health.lacks_cloud)
    there.set()
    for _turn in range(3):
        await asyncio.sleep(0)
    seen.append(health.lacks_cloud)
    later.set()
    await proving
    assert [*seen, health.lacks_cloud] == [False, True, False, False]
