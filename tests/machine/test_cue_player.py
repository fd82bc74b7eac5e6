"""Cues through a sound server of their own: how loud they are, and what becomes of them when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine.cue_player import NoCuePlayer, ProgramCuePlayer, cubic, mpv_command
from machine.errors import UnavailableError
from machine.programs import run_program
from tests.conftest import write_tone
from tests.machine.parts import DEADLINE, Ear, PulseServer

LOUDEST = 12000  # write_tone's peak


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    made = PulseServer(tmp_path / "pulse")
    made.folder.mkdir()
    made.start()
    for name in ("PULSE_SERVER", "PULSE_RUNTIME_PATH", "XDG_RUNTIME_DIR", "HOME"):
        monkeypatch.setenv(name, made.environment[name])
    yield made
    made.kill()


async def loudest(ear: Ear) -> int:
    """Return the highest sample of the next sound."""
    await ear.tone(440)
    blocks = [await ear.block() for _ in range(3)]
    return max(map(max, blocks))


async def test_a_gain_is_in_decibels(server: PulseServer, tmp_path: Path) -> None:
    tone = write_tone(tmp_path / "tone.wav", 1.0)
    player = ProgramCuePlayer()
    assert player.name == "cues: paplay"
    async with asyncio.timeout(DEADLINE), server.ear() as ear:
        for gain, factor in ((0.0, 1.0), (-12.0, 0.251), (6.0, 1.0)):
            playing = asyncio.create_task(player.play(tone, gain))
            assert await loudest(ear) == pytest.approx(
                LOUDEST * factor, rel=0.1
            )  # 0.8 dB: the server resamples
            await playing
            await ear.silence()


async def test_a_cue_that_is_given_up_is_silent(server: PulseServer, tmp_path: Path) -> None:
    tone = write_tone(tmp_path / "tone.wav", 60.0)
    async with asyncio.timeout(DEADLINE), server.ear() as ear:
        playing = asyncio.create_task(ProgramCuePlayer().play(tone, 0.0))
        await ear.tone(440)
        playing.cancel()
        await asyncio.wait([playing])
        await ear.silence()


async def test_the_death_of_the_server_is_an_error(server: PulseServer, tmp_path: Path) -> None:
    tone = write_tone(tmp_path / "tone.wav", 60.0)
    async with asyncio.timeout(DEADLINE):
        async with server.ear() as ear:
            playing = asyncio.create_task(ProgramCuePlayer().play(tone, 0.0))
            await ear.tone(440)
        server.kill()
        with pytest.raises(UnavailableError, match="paplay: "):
            await playing
        with pytest.raises(UnavailableError, match="paplay: "):
            await ProgramCuePlayer().play(tone, 0.0)


async def test_a_frozen_server_does_not_hold_a_cue_for_ever(
    server: PulseServer, tmp_path: Path
) -> None:
    tone = write_tone(tmp_path / "tone.wav", 0.1)
    assert server._daemon is not None
    server._daemon.send_signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(UnavailableError, match=r"paplay: has not ended in 0\.5 s"):
                await ProgramCuePlayer(seconds=0.5).play(tone, 0.0)
    finally:
        server._daemon.send_signal(signal.SIGCONT)


async def test_a_file_that_is_no_sound_is_an_error(server: PulseServer, tmp_path: Path) -> None:
    del server
    path = tmp_path / "locked.opus"
    path.write_text("no sound")
    with pytest.raises(UnavailableError, match="paplay: "):
        await ProgramCuePlayer().play(path, 0.0)


async def test_without_a_server_mpv_plays_and_never_into_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    player = ProgramCuePlayer()
    assert player.name == "cues: mpv"
    with pytest.raises(UnavailableError, match="mpv: "):  # no sound card either
        await player.play(write_tone(tmp_path / "tone.wav", 0.1), 0.0)


async def test_mpv_is_heard(server: PulseServer, tmp_path: Path) -> None:
    command = mpv_command("mpv", write_tone(tmp_path / "tone.wav", 1.0), -12.0)
    async with asyncio.timeout(DEADLINE), server.ear() as ear:
        playing = asyncio.create_task(run_program(command, DEADLINE, os.environ))
        assert await loudest(ear) == pytest.approx(LOUDEST * 0.251, rel=0.05)
        await playing


async def test_without_a_program_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    player = ProgramCuePlayer()
    assert player.name == NoCuePlayer.name
    with pytest.raises(UnavailableError, match="listen: no player for cues found"):
        await player.play(tmp_path / "listen.opus", 0.0)


async def test_the_program_sees_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORY_TOKEN", "secret")
    told = tmp_path / "told"
    program = tmp_path / "paplay"
    program.write_text(f"#!/bin/sh\nenv > {told}\n")
    program.chmod(0o755)
    monkeypatch.setattr(ProgramCuePlayer, "_command", lambda *_: [str(program)])
    await ProgramCuePlayer().play(tmp_path / "tone.wav", 0.0)
    assert "STORY_TOKEN" not in told.read_text()
    assert "STORY_TOKEN" in os.environ


def test_cubic() -> None:
    assert cubic(0.0) == 1.0
    assert cubic(-60.0) == pytest.approx(0.1)
