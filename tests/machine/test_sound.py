"""Volume and play on real parts: PulseAudio's null sink, amixer over it, and mpv."""

from __future__ import annotations

import array
import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from machine.errors import RefusedError, UnavailableError
from machine.mixers import AlsaMixer, PulseMixer, StandInMixer, find_mixer, parse_amixer
from machine.player import MpvPlayer, StandInPlayer, find_player
from resources.dispatch import Dispatch
from resources.library import Catalogue
from resources.play import PlayPoint
from resources.volume import VolumePoint
from tests.conftest import write_tone
from wire.codes import Code


def pactl(server: str, *arguments: str) -> str:
    result = subprocess.run(
        ["pactl", *arguments], env={**os.environ, "PULSE_SERVER": server},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return result.stdout


@pytest.fixture
def pulse(pulse_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PULSE_SERVER", pulse_server)
    return pulse_server


async def test_volume_sets_the_real_sink_and_reads_it_back(pulse: str) -> None:
    mixer = await find_mixer()
    assert isinstance(mixer, PulseMixer)
    point = VolumePoint(mixer)
    for step in (0, 7, 16):
        await point.put(step)
        assert await point.get() == step
        assert f"{round(step / 16 * 100)}%" in pactl(pulse, "get-sink-volume", "@DEFAULT_SINK@")
    await point.close()


async def test_volume_sees_a_knob_and_a_mute_on_the_machine(pulse: str) -> None:
    mixer = await PulseMixer.find()
    assert mixer
    point = VolumePoint(mixer)
    pactl(pulse, "set-sink-volume", "@DEFAULT_SINK@", "25%")
    assert await point.get() == 4
    pactl(pulse, "set-sink-mute", "@DEFAULT_SINK@", "1")
    assert await point.get() == 0
    await point.put(8)
    assert "no" in pactl(pulse, "get-sink-mute", "@DEFAULT_SINK@")
    await point.close()


async def test_pulse_that_went_away_is_unavailable_not_a_crash(
    pulse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pulse
    mixer = await PulseMixer.find()
    assert mixer
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere/native")
    answer = await Dispatch([VolumePoint(mixer)], _ignore).request("PUT", "volume", "3")
    assert answer.code is Code.SERVICE_UNAVAILABLE
    assert "pactl: " in answer.text


async def test_without_a_sound_server_or_card_the_stand_in_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    monkeypatch.setenv("PATH", str(tmp_path))
    mixer = await find_mixer()
    assert isinstance(mixer, StandInMixer)
    assert mixer.name == "no mixer found: volume is kept but not heard"
    await mixer.set(0.25)
    assert await mixer.get() == 0.25


async def test_alsa_mixer_drives_a_real_control_through_amixer(
    pulse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "asoundrc"
    config.write_text("ctl.!default { type pulse }\npcm.!default { type pulse }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", f"/usr/share/alsa/alsa.conf:{config}")
    mixer = await AlsaMixer.find()
    assert mixer
    assert mixer.name == "ALSA: Master"
    await mixer.set(0.5)
    assert abs(await mixer.get() - 0.5) < 0.02
    assert "no" in pactl(pulse, "get-sink-mute", "@DEFAULT_SINK@")


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("  Mono: Playback 100 [40%] [-10.00dB] [on]", 0.4),
        ("  Front Left: 1 [20%] [on]\n  Front Right: 1 [40%] [on]", 0.3),
        ("  Mono: Playback 100 [40%] [off]", 0.0),
    ],
)
def test_parse_amixer(text: str, level: float) -> None:
    assert parse_amixer(text) == pytest.approx(level)


def test_parse_amixer_names_a_control_without_volume() -> None:
    with pytest.raises(UnavailableError, match="no volume"):
        parse_amixer("Simple mixer control 'Auto-Mute Mode',0")


async def _ignore(*_: object) -> None:
    return


@pytest.fixture
async def point(pulse: str, tmp_path: Path) -> AsyncIterator[PlayPoint]:
    assert pulse
    folder = tmp_path / "media"
    write_tone(folder / "儿歌" / "1 小兔子乖乖.wav", seconds=0.4)
    write_tone(folder / "儿歌" / "2 两只老虎.wav", seconds=30)
    (folder / "broken.wav").write_bytes(b"not sound at all")
    player = find_player()
    assert isinstance(player, MpvPlayer)
    changes: asyncio.Queue[str] = asyncio.Queue()
    point = PlayPoint(player, Catalogue(folder), changes.put)
    point.changes = changes  # type: ignore[attr-defined]
    yield point
    await point.close()


async def test_play_is_heard_on_the_null_sink(point: PlayPoint, pulse: str) -> None:
    await point.put("两只老虎")
    async with asyncio.timeout(10):
        while point.back_end != "mpv: pulse":  # mpv opens its output on a thread of its own
            await asyncio.sleep(0.01)
    assert await point.get() == "2 两只老虎"
    recorder = await asyncio.create_subprocess_exec(
        "parec", "--device=bench.monitor", "--rate=8000", "--channels=1", "--format=s16le",
        "--latency-msec=50", stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PULSE_SERVER": pulse},
    )  # fmt: skip
    assert recorder.stdout
    try:
        async with asyncio.timeout(10):
            while max(array.array("h", await recorder.stdout.readexactly(8000))) < 1000:
                pass
    finally:
        recorder.terminate()
        await recorder.wait()


async def test_a_folder_goes_on_by_itself_and_reports_the_next_title(point: PlayPoint) -> None:
    await point.put("播放儿歌")
    assert await point.get() == "1 小兔子乖乖"
    async with asyncio.timeout(10):
        assert await point.changes.get() == "2 两只老虎"  # type: ignore[attr-defined]
    assert await point.get() == "2 两只老虎"


async def test_commands_in_chinese_and_english(point: PlayPoint) -> None:
    await point.put("2 两只老虎")
    await point.put("暂停")
    held = await point.position()
    await point.put("resume")
    async with asyncio.timeout(10):
        while (await point.position() or 0) <= (held or 0):
            await asyncio.sleep(0)
    await point.put("上一首")
    assert await point.get() == "1 小兔子乖乖"
    with pytest.raises(RefusedError, match="no previous track"):
        await point.put("previous")
    await point.put("停止")
    assert await point.get() == ""
    with pytest.raises(RefusedError, match="nothing is playing"):
        await point.put("next")


async def test_what_cannot_be_played_is_refused_by_name(point: PlayPoint) -> None:
    with pytest.raises(RefusedError, match="cannot be played"):
        await point.put("broken")
    with pytest.raises(RefusedError, match='got "狮子王"'):
        await point.put("狮子王")
    with pytest.raises(RefusedError, match="cannot be played: loading failed"):
        await point.put("http://127.0.0.1:9/nothing.mp3")
    assert await point.get() == ""


async def test_a_new_order_while_the_old_track_ends_is_not_taken_for_a_failure(
    point: PlayPoint,
) -> None:
    for _ in range(5):
        await point.put("小兔子乖乖")
        await point.put("两只老虎")
        assert await point.get() == "2 两只老虎"


@pytest.mark.parametrize("wanted", ["../secret", "/etc/passwd", "..", "file:///etc/passwd"])
def test_nothing_outside_the_media_folder_is_found(tmp_path: Path, wanted: str) -> None:
    folder = tmp_path / "media"
    write_tone(tmp_path / "secret.wav")
    folder.mkdir()
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(RefusedError, match="0 titles"):
        Catalogue(folder).find(wanted)
    assert Catalogue(folder).titles() == []


async def test_without_libmpv_the_stand_in_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda _name: None)
    player = find_player()
    assert isinstance(player, StandInPlayer)
    assert "libmpv is missing" in player.name
