"""The chime, with a scripted player, and with mpv on a real sound server."""

from __future__ import annotations

import array
import asyncio
import os
import subprocess
import threading
import wave
from pathlib import Path
from typing import Any

import pytest

import machine.chime
from machine.chime import SoundProof, play_chime, write_chime
from machine.errors import UnavailableError
from machine.player import EndListener, MpvPlayer, StandInPlayer
from resources.playing.teller import Teller
from resources.points.play import PlayPoint
from resources.titles.library import Library
from tests.conftest import write_tone
from tests.resources.parts import DEADLINE, Bench, ScriptedPlayer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
MOVED_SECONDS = 0.2


class Chimer(ScriptedPlayer):
    """Plays the chime according to the test's script."""

    def __init__(self, *, at: float | None = None, end: tuple[str | None] | None = None) -> None:
        super().__init__()
        self.at = at
        self.end = end
        self.fault: UnavailableError | None = None

    async def play(self, source: str, on_end: EndListener, **how: Any) -> None:
        with wave.open(source) as chime:
            assert 0.5 < chime.getnframes() / chime.getframerate() < 2.0
        await super().play(source, on_end, **how)
        if self.fault is not None:
            raise self.fault
        if self.end is not None:
            on_end(*self.end)


async def test_a_position_that_moves_is_heard_and_the_player_is_let_go() -> None:
    player = Chimer(at=MOVED_SECONDS)
    assert await play_chime(player, 30) == SoundProof("scripted")
    assert player.volumes == [30]
    assert player.played == ["chime", "(stop)", "(close)"]


async def test_the_chime_is_written_where_the_player_can_read_it(tmp_path: Path) -> None:
    modes: list[int] = []

    class Reader(Chimer):
        folder = tmp_path / "player"

        async def play(self, source: str, on_end: EndListener, **how: Any) -> None:
            path = Path(source)
            modes.extend(folder.stat().st_mode & 0o777 for folder in path.parents[:2])
            assert path.is_relative_to(self.folder)
            await super().play(source, on_end, **how)

    assert (await play_chime(Reader(at=1.0), 10)).is_heard
    assert modes == [0o750, 0o750]
    assert list((tmp_path / "player").iterdir()) == []


async def test_a_chime_that_was_played_to_its_end_is_heard() -> None:
    assert (await play_chime(Chimer(end=(None,)), 0)).is_heard


@pytest.mark.parametrize("at", [None, 0.0, MOVED_SECONDS / 2])
async def test_a_position_that_stands_still_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, at: float | None
) -> None:
    monkeypatch.setattr(machine.chime, "MOVE_TIMEOUT", 0.05)
    player = Chimer(at=at)
    proof = await play_chime(player, 10)
    assert not proof.is_heard
    assert proof.fault == f"the sound stands still: {at or 0:.2f} s in 0.05 s"
    assert player.played[-1] == "(close)"


async def test_a_chime_that_breaks_off_is_a_fault() -> None:
    assert (await play_chime(Chimer(end=("no device",)), 10)).fault == "no device"


async def test_a_player_that_refuses_is_a_fault_in_its_own_words() -> None:
    player = Chimer()
    player.fault = UnavailableError("play: mpv cannot be started: no such file")
    proof = await play_chime(player, 10)
    assert proof.fault == "play: mpv cannot be started: no such file"
    assert not proof.is_heard


async def test_a_full_disk_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    proof = await play_chime(Chimer(at=1.0), 10)
    assert proof == SoundProof(None, "the chime cannot be written: No such file or directory")


async def test_without_mpv_nothing_is_heard() -> None:
    proof = await play_chime(StandInPlayer(), 10)
    assert proof.output is None
    assert "mpv is missing" in str(proof.fault)


@pytest.mark.parametrize(("output", "heard"), [("pulse", True), ("null", False), (None, False)])
def test_only_a_device_is_heard(output: str | None, *, heard: bool) -> None:
    assert SoundProof(output).is_heard is heard


@pytest.mark.parametrize(("at", "fault"), [(3.0, None), (0.1, "only 0.10 s were played")])
async def test_a_story_that_plays_is_proof_enough(
    tmp_path: Path, at: float, fault: str | None
) -> None:
    bench = Bench(tmp_path / "media", "a")
    await bench.point.put("a")
    bench.player.at = at
    assert await bench.teller.prove_sound(10) == SoundProof("scripted", fault)
    assert bench.player.played == ["a"]  # the child's story continues, without a chime in it


async def test_an_order_waits_for_the_chime_and_is_played_at_full_volume(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "media", "a")
    bench.player.at = 1.0
    bench.player.loading = asyncio.Event()
    chime = asyncio.create_task(bench.teller.prove_sound(5))
    while not bench.player.played:
        await asyncio.sleep(0)
    order = asyncio.create_task(bench.point.put("a"))
    await asyncio.sleep(0)
    bench.player.loading.set()
    async with asyncio.timeout(DEADLINE):
        assert (await chime).is_heard
        await order
    assert bench.player.played == ["chime", "(stop)", "(close)", "a"]
    assert bench.player.volumes == [5, 100]


def test_the_chime_is_soft_at_both_ends(tmp_path: Path) -> None:
    write_chime(tmp_path / "chime.wav")
    with wave.open(str(tmp_path / "chime.wav")) as chime:
        samples = array.array("h", chime.readframes(chime.getnframes()))
    assert max(samples) > 8000
    assert max(map(abs, (*samples[:8], *samples[-8:]))) < 600


@pytest.fixture
def loud(pulse_server: str) -> str:
    """Set the sound server to full volume: another test may have turned it down."""
    environment = {**os.environ, "PULSE_SERVER": pulse_server}
    for setting, value in (("volume", "100%"), ("mute", "0")):
        command = ["pactl", f"set-sink-{setting}", "bench", value]
        subprocess.run(command, env=environment, check=True, timeout=60)
    return pulse_server


@pytest.fixture
async def point(loud: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PlayPoint:
    monkeypatch.setenv("PULSE_SERVER", loud)

    async def ignore(_title: str) -> None:
        return

    write_tone(tmp_path / "media" / "tone.wav", seconds=0.5)
    return PlayPoint(Teller(MpvPlayer(), [Library(tmp_path / "media")], ignore))


class Ear:
    """Records the sink, and knows the loudest sample since it was asked last."""

    def __init__(self, recorder: asyncio.subprocess.Process) -> None:
        assert recorder.stdout
        self._stream = recorder.stdout

    async def loudest(self, *, heard: int = 0) -> int:
        """Return the loudest of a second of sound, which begins when a sample is at least ``heard``."""
        found, blocks = 0, 0
        while found < heard or blocks < 20:
            block = await self._stream.readexactly(800)  # a twentieth of a second
            found = max(found, *map(abs, array.array("h", block)))
            blocks += found >= heard
        return found


async def test_the_real_chime_is_heard_at_the_volume_that_is_asked_for(
    point: PlayPoint, pulse_server: str
) -> None:
    """0 is silence: the recording that has nothing of it has what follows."""
    recorder = await asyncio.create_subprocess_exec(
        "parec", "--device=bench.monitor", "--rate=8000", "--channels=1", "--format=s16le",
        "--latency-msec=50", stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PULSE_SERVER": pulse_server}, limit=2**24,
    )  # fmt: skip
    ear, found = Ear(recorder), []
    try:
        async with asyncio.timeout(2 * DEADLINE):  # three starts of mpv
            await ear.loudest()  # it is recording
            assert await point.teller.prove_sound(0) == SoundProof("pulse")
            found.append(await ear.loudest())
            for volume in (50, 100):
                assert await point.teller.prove_sound(volume) == SoundProof("pulse")
                found.append(await ear.loudest(heard=200))
    finally:
        recorder.terminate()
        await recorder.wait()
    silence, half, full = found
    assert silence == 0
    assert full > 8000
    assert half == pytest.approx(full / 8, rel=0.2)  # mpv's volume is cubic
    assert point.back_end == "mpv: not started yet"  # its 50 MB are freed


async def test_the_real_chime_proves_the_path_without_a_sound(point: PlayPoint) -> None:
    assert await point.teller.prove_sound(0) == SoundProof("pulse")
    await point.put("tone")
    assert point.teller.playing
    await point.close()


async def test_a_sink_that_takes_nothing_is_found_out(
    point: PlayPoint, pulse_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.chime, "MOVE_TIMEOUT", 0.5)
    environment = {**os.environ, "PULSE_SERVER": pulse_server}

    def suspend(word: str) -> None:
        command = ["pactl", "suspend-sink", "bench", word]
        subprocess.run(command, env=environment, check=True, timeout=60)

    suspend("1")
    try:
        proof = await point.teller.prove_sound(0)
    finally:
        suspend("0")
    assert not proof.is_heard
    assert "the sound stands still" in str(proof.fault)


async def test_without_a_sound_server_or_card_time_passes_and_nothing_is_heard(
    point: PlayPoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    config = tmp_path / "asoundrc"
    config.write_text("pcm.!default { type hw card 31 }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    proof = await point.teller.prove_sound(0)
    assert (proof.output, proof.fault, proof.is_heard) == ("null", None, False)


async def test_one_that_is_cancelled_while_it_is_written_leaves_no_file_and_stays_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class InFolder(Chimer):
        folder = tmp_path / "player"

    begun, go_on = threading.Event(), threading.Event()

    def write(path: Path) -> None:
        begun.set()
        assert go_on.wait(DEADLINE)
        write_chime(path)

    monkeypatch.setattr(machine.chime, "write_chime", write)
    playing = asyncio.create_task(play_chime(InFolder(), 10))
    assert await asyncio.to_thread(begun.wait, DEADLINE)
    playing.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not playing.done()  # the folder is not removed from under the thread
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert list((tmp_path / "player").iterdir()) == []
