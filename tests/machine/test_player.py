"""Play on real parts: mpv, and PulseAudio's null sink."""

from __future__ import annotations

import array
import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from machine.errors import RefusedError
from machine.mpv_process import MpvProcess
from machine.player import MpvPlayer, StandInPlayer, find_player
from resources.playing.teller import Teller
from resources.points.play import PlayPoint
from resources.titles.library import Library
from tests.conftest import write_tone


@pytest.fixture
def pulse(pulse_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PULSE_SERVER", pulse_server)
    # The server is shared, and a test before may have left it at another level.
    for change in (("set-sink-volume", "100%"), ("set-sink-mute", "0")):
        subprocess.run(["pactl", change[0], "bench", change[1]], check=True, timeout=60)
    return pulse_server


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
    point = PlayPoint(Teller(player, [Library(folder)], changes.put))
    point.changes = changes  # type: ignore[attr-defined]
    yield point
    await point.close()


async def test_play_is_heard_on_the_null_sink(point: PlayPoint, pulse: str) -> None:
    await point.put("两只老虎")
    async with asyncio.timeout(60):
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
        async with asyncio.timeout(60):
            while max(array.array("h", await recorder.stdout.readexactly(8000))) < 1000:
                pass
    finally:
        recorder.terminate()
        await recorder.wait()


async def test_a_folder_goes_on_by_itself_and_reports_the_next_title(point: PlayPoint) -> None:
    await point.put("播放儿歌")
    assert await point.get() == "1 小兔子乖乖"
    async with asyncio.timeout(60):
        assert await point.changes.get() == "2 两只老虎"  # type: ignore[attr-defined]
    assert await point.get() == "2 两只老虎"


async def test_commands_in_chinese_and_english(point: PlayPoint) -> None:
    await point.put("2 两只老虎")
    await point.put("暂停")
    held = await point.teller.player.position()
    await point.put("resume")
    async with asyncio.timeout(60):
        while (await point.teller.player.position() or 0) <= (held or 0):
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
    assert await point.get() == ""


async def test_a_new_order_while_the_old_track_ends_is_not_taken_for_a_failure(
    point: PlayPoint,
) -> None:
    for _ in range(5):
        await point.put("小兔子乖乖")
        await point.put("两只老虎")
        assert await point.get() == "2 两只老虎"


async def test_two_orders_at_once_start_one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[SimpleNamespace] = []
    is_up = asyncio.Event()

    async def start(*_how: object) -> SimpleNamespace:
        started.append(SimpleNamespace(alive=True))
        await is_up.wait()
        return started[-1]

    monkeypatch.setattr(MpvProcess, "start", start)
    player = MpvPlayer()
    opening = [asyncio.create_task(player._open()) for _ in range(2)]
    for _ in range(10):  # as far as both come
        await asyncio.sleep(0)
    assert len(started) == 1
    is_up.set()
    assert await asyncio.gather(*opening) == started * 2


async def test_without_mpv_the_stand_in_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("machine.mpv_program.find_on_path", lambda _name: None)
    monkeypatch.setattr("ctypes.util.find_library", lambda _name: None)
    player = find_player()
    assert isinstance(player, StandInPlayer)
    assert "mpv is missing" in player.name
