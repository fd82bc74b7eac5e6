"""The player and the mixer on PipeWire, listened to on a null sink's monitor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from machine.cue_player import ProgramCuePlayer
from machine.errors import UnavailableError
from machine.level import KeptLevel
from machine.player import MpvPlayer
from tests.conftest import write_tone
from tests.machine.parts import DEADLINE, Ear, power, until, until_position
from tests.machine.pipewire import PipeWireServer, needs_pipewire

pytestmark = needs_pipewire
LOW, HIGH = 440.0, 880.0
NEAR_DB = 1.0
# PipeWire plays a mono tone on two channels, and its sum of both is so much louder.
MIXED_DB = 3.01
# Of `power`: a fifth of the tone that is played.
LOUD = 1e12


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeWireServer]:
    folder = tmp_path / "pipewire"
    folder.mkdir()
    server = PipeWireServer(folder)
    for name in ("PULSE_SERVER", "PULSE_RUNTIME_PATH", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, server.environment[name])
    (folder / "asoundrc").write_text("pcm.!default { type hw card 31 }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(folder / "asoundrc"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def level() -> AsyncIterator[KeptLevel]:
    level = KeptLevel()
    yield level
    await level.close()


@pytest.fixture
async def player(level: KeptLevel) -> AsyncIterator[MpvPlayer]:
    player = MpvPlayer(level)
    yield player
    await player.close()


@pytest.fixture
def story(tmp_path: Path) -> str:
    return str(write_tone(tmp_path / "story.wav", seconds=120, hertz=LOW))


def ignore(_reason: str | None) -> None:
    pass


async def until_level(ear: Ear, db: float) -> None:
    async with asyncio.timeout(DEADLINE):
        while abs(await ear.level() - MIXED_DB - db) > NEAR_DB:
            pass


async def hears_both(ear: Ear) -> bool:
    block = await ear.block()
    return min(power(block, hertz) for hertz in (LOW, HIGH)) > LOUD


async def test_what_plays_is_heard_at_the_level_and_the_gain(
    sound: PipeWireServer, story: str, tmp_path: Path, player: MpvPlayer, level: KeptLevel
) -> None:
    other = str(write_tone(tmp_path / "other.wav", seconds=60, hertz=HIGH))
    await level.set(1.0)
    async with sound.ear() as ear:
        await player.play(story, ignore)
        assert await ear.tone(LOW, HIGH) == LOW
        assert player.name == "mpv: pulse"
        await until_level(ear, 0.0)
        await level.set(0.5)
        await until_level(ear, -18.06)  # cubic, as PulseAudio's
        await player.fade(-10.0, 0.2)
        await until_level(ear, -28.06)
        await player.play(other, ignore)
        await ear.until_tone(HIGH, not_any_more=LOW)
        await until_level(ear, -18.06)
        await player.stop()
        await ear.silence()


async def test_a_server_that_dies_pauses_the_story_where_it_was_heard(
    sound: PipeWireServer, story: str, player: MpvPlayer, level: KeptLevel
) -> None:
    await level.set(0.5)
    ends: list[str | None] = []
    await player.play(story, ends.append)
    for _ in range(3):
        heard = await until_position(player, (await player.position() or 0.0) + 0.7)
        sound.kill()
        await until(lambda: "no sound device: waits at" in player.name)
        held = await player.position() or 0.0
        assert heard - 1.5 <= held <= heard + 0.5
        sound.start()
        async with sound.ear() as ear:
            assert await ear.tone(LOW, HIGH) == LOW
            await until_level(ear, -18.06)  # the new server's was 100 %
        assert held - 0.1 <= (await player.position() or 0.0) <= held + 20.0
        assert player.name == "mpv: pulse"
    assert ends == []


async def test_a_sink_that_is_unplugged_is_waited_for(
    sound: PipeWireServer, story: str, player: MpvPlayer, level: KeptLevel
) -> None:
    await level.set(0.5)
    await player.play(story, ignore)
    await until_position(player, 0.5)
    sound.pactl("unload-module", "module-null-sink")
    await until(lambda: "waits at" in player.name)
    held = await player.position() or 0.0
    sound.pactl("load-module", "module-null-sink", "sink_name=replugged")
    await until(lambda: player.name == "mpv: pulse")
    async with sound.ear("replugged") as ear:
        assert await ear.tone(LOW, HIGH) == LOW
        await until_level(ear, -18.06)
    assert held - 0.1 <= (await player.position() or 0.0) <= held + 20.0


async def test_a_cue_is_heard_at_its_gain_beside_the_story_and_fails_with_the_server(
    sound: PipeWireServer, tmp_path: Path, player: MpvPlayer, level: KeptLevel, story: str
) -> None:
    cue = str(write_tone(tmp_path / "cue.wav", seconds=60, hertz=HIGH))
    cues = ProgramCuePlayer(seconds=DEADLINE)
    assert cues.name == "cues: paplay"
    await level.set(1.0)
    async with sound.ear() as ear:
        for gain in (0.0, -12.0):
            playing = asyncio.create_task(cues.play(Path(cue), gain))
            await until_level(ear, gain)
            playing.cancel()
            await asyncio.wait([playing])
            await ear.silence()
        await player.play(story, ignore)
        await ear.until_tone(LOW, not_any_more=HIGH)
        playing = asyncio.create_task(cues.play(Path(cue), 0.0))
        async with asyncio.timeout(DEADLINE):
            while not await hears_both(ear):
                pass
    sound.kill()
    with pytest.raises(UnavailableError, match="paplay"):
        await playing
    await until(lambda: player.waiting)
