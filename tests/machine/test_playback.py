"""mpv's process, a sound server that dies and a web server that cuts: what sounds is recognised."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from machine.errors import RefusedError, UnavailableError
from machine.mpv_options import is_stream
from machine.mpv_process import MpvProcess
from machine.mpv_program import LIBMPV_CHILD
from machine.player import AnyDevice, MpvPlayer
from tests.conftest import write_tone
from tests.machine.parts import (
    DEADLINE,
    CuttingServer,
    PulseServer,
    lone_server,
    until,
    until_position,
    write_traps,
)

LOW, HIGH = 440.0, 880.0


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    folder = tmp_path / "pulse"
    folder.mkdir()
    with lone_server(folder, monkeypatch) as server:
        yield server


def is_running(pid: int | None) -> bool:
    return Path(f"/proc/{pid}/exe").exists()


class Ends:
    """Collects the ends that a player tells."""

    def __init__(self) -> None:
        self.told: list[str | None] = []

    def __call__(self, reason: str | None) -> None:
        self.told.append(reason)


@pytest.fixture
async def player() -> AsyncIterator[MpvPlayer]:
    player = MpvPlayer()
    yield player
    await player.close()


@pytest.fixture
def story(tmp_path: Path) -> str:
    return str(write_tone(tmp_path / "story.wav", seconds=60, hertz=LOW))


@pytest.mark.parametrize(
    "program", [("mpv",), (sys.executable, "-I", "-S", LIBMPV_CHILD)], ids=["mpv", "libmpv"]
)
async def test_what_plays_is_what_sounds(
    sound: PulseServer, story: str, tmp_path: Path, program: tuple[str, ...]
) -> None:
    other = str(write_tone(tmp_path / "other.wav", seconds=60, hertz=HIGH))
    player, ends = MpvPlayer(program=program), Ends()
    assert player.name == "mpv: not started yet"
    async with sound.ear() as ear:
        await player.play(story, ends)
        assert await ear.tone(LOW, HIGH) == LOW
        await player.play(other, ends)
        await ear.until_tone(HIGH, not_any_more=LOW)
        assert player.name == "mpv: pulse"
        await player.stop()
        await ear.silence()
    pid = player.pid
    await player.close()
    assert not is_running(pid)
    assert ends.told == []  # both were ended by an order


async def test_a_sound_server_that_dies_pauses_the_story_where_it_was_heard(
    sound: PulseServer, story: str, player: MpvPlayer
) -> None:
    ends = Ends()
    for _ in range(3):
        await player.play(story, ends)
        heard = await until_position(player, 1.0)
        sound.kill()
        await until(lambda: player.name.startswith("mpv: no sound device: waits at "))
        held = await player.position()
        assert held is not None
        assert heard - 1.0 <= held <= heard + 0.5
        await player.pause(paused=True)  # an order meanwhile is kept
        await player.pause(paused=False)
        assert await player.position() == held
        sound.start()
        async with sound.ear() as ear:
            assert await ear.tone(LOW, HIGH) == LOW
            assert held - 0.1 <= (await player.position() or 0.0) <= held + 3.0
        assert player.name == "mpv: pulse"
    assert ends.told == []


async def test_a_pause_while_the_device_is_away_stays(
    sound: PulseServer, story: str, player: MpvPlayer
) -> None:
    await player.play(story, Ends())
    await until_position(player, 0.5)
    sound.pactl("unload-module", "module-null-sink")  # a USB card is unplugged
    await until(lambda: "waits at" in player.name)
    await player.pause(paused=True)
    sound.pactl("load-module", "module-null-sink", "sink_name=replugged")
    await until(lambda: player.name == "mpv: pulse")
    held = await player.position()
    async with sound.ear("replugged") as ear:
        for _ in range(5):
            assert max(await ear.block()) == 0
        assert await player.position() == pytest.approx(held, abs=0.01)
        await player.pause(paused=False)
        assert await ear.tone(LOW, HIGH) == LOW


# mpv on a card that does not answer, as seen with a slow open(): it takes all orders, also a stop, and loads nothing.
HANGING_MPV = """
import json, socket, sys
peer = socket.socket(fileno=int(sys.argv[-1].rpartition("/")[2]))
for line in peer.makefile("rb"):
    order = json.loads(line)
    answer = {"request_id": order["request_id"], "error": "success"}
    if isinstance(order["command"], dict):
        answer["data"] = {"playlist_entry_id": 1}
        peer.sendall(b'{"event": "start-file", "playlist_entry_id": 1}\\n')
    peer.sendall(json.dumps(answer).encode() + b"\\n")
"""


async def test_a_file_that_does_not_open_never_plays_and_holds_up_nothing(
    sound: PulseServer, story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = tmp_path / "hangs"
    hangs.write_text(HANGING_MPV)
    program = tmp_path / "mpv.sh"
    program.write_text(
        f'#!/bin/sh\n[ -e {hangs} ] && exec {sys.executable} {hangs} "$@"\nexec mpv "$@"\n'
    )
    program.chmod(0o755)
    player = MpvPlayer(program=(str(program),))
    with monkeypatch.context() as short:
        short.setattr("machine.playback.LOAD_SECONDS", 0.3)
        with pytest.raises(UnavailableError, match=r"nothing to hear in 0\.3 s"):
            await player.play("/slow.wav", Ends())
    assert player.pid is None  # or it would play when the card answers
    assert await player.position() is None
    loading = asyncio.create_task(player.play("/slow.wav", Ends()))
    await until(lambda: player._playback is not None and player._playback.opening)
    hangs.rename(tmp_path / "hung")
    async with sound.ear() as ear:
        await player.play(story, Ends())  # it need not wait for the file before
        assert await ear.tone(LOW, HIGH) == LOW
    with pytest.raises(UnavailableError, match="given up for a newer order"):
        await loading
    await player.close()


async def test_a_suspended_device_is_waited_for_and_the_story_goes_on_there(
    sound: PulseServer, story: str, player: MpvPlayer
) -> None:
    ends = Ends()
    await player.play(story, ends)
    await until_position(player, 0.2)
    assert not player.waiting
    sound.pactl("suspend-sink", "bench", "1")
    await until(lambda: player.waiting)
    held = await player.position()
    assert player.name.startswith("mpv: the sound device takes nothing: waits at ")
    await player.pause(paused=True)  # who has paused it waits for nothing
    assert not player.waiting
    await player.pause(paused=False)
    assert held is not None
    sound.pactl("suspend-sink", "bench", "0")
    async with sound.ear() as ear:
        assert await ear.tone(LOW, HIGH) == LOW
    assert held <= await until_position(player, held + 0.1) < held + 2.0
    await until(lambda: not player.waiting)
    assert ends.told == []


async def test_an_order_without_a_device_is_not_answered_with_success(
    sound: PulseServer, story: str, player: MpvPlayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await player.play(story, Ends())
    await until_position(player, 0.2)
    sound.kill()
    monkeypatch.setattr("machine.player.PLAY_SECONDS", 1.0)
    with pytest.raises(UnavailableError, match="play: no sound device"):
        await player.play(story, Ends())
    assert await player.position() is None  # it does not begin later


async def test_a_device_that_comes_late_hears_the_story_from_its_beginning(
    sound: PulseServer, story: str, player: MpvPlayer
) -> None:
    sound.kill()
    await player.play(story, Ends())
    unheard = await until_position(player, 3.0)  # long enough to see it begin again
    assert player.name == "mpv: no sound device found: what plays is not heard"
    sound.start()
    await until(lambda: player.name == "mpv: pulse")
    async with asyncio.timeout(DEADLINE):
        while (await player.position() or 0.0) >= unheard:  # without a device it only rises
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_player_that_dies_or_hangs_is_started_again_and_goes_on(
    sound: PulseServer, story: str, player: MpvPlayer, number: int
) -> None:
    ends = Ends()
    await player.play(story, ends)
    heard = await until_position(player, 1.5)
    first = player.pid
    assert first
    os.kill(first, number)
    await until(lambda: player.pid not in {None, first})
    async with sound.ear() as ear:
        assert await ear.tone(LOW, HIGH) == LOW
        assert heard - 1.0 <= (await player.position() or 0.0) <= heard + 5.0
    assert ends.told == []


async def test_a_source_that_kills_every_player_is_told_as_broken_off(
    sound: PulseServer, story: str, player: MpvPlayer
) -> None:
    ends = Ends()
    await player.play(story, ends)
    killed: set[int] = set()
    async with asyncio.timeout(DEADLINE):
        while not ends.told:
            if player.pid and player.pid not in killed and player.name == "mpv: pulse":
                killed.add(player.pid)
                os.kill(player.pid, signal.SIGKILL)
            await asyncio.sleep(0.01)
    # One that dies while it answers is told as that on a busy machine.
    assert ends.told[0] in {
        "at 0.0 s of 60.0 s: mpv ended unexpectedly",
        "at 0.0 s of 60.0 s: mpv gave no answer in 3 s",
    }
    assert len(killed) == 5
    await player.play(story, ends)  # and the next order plays
    async with sound.ear() as ear:
        assert await ear.tone(LOW, HIGH) == LOW


async def test_an_idle_player_is_let_go_and_comes_back(sound: PulseServer, story: str) -> None:
    assert sound
    player = MpvPlayer(idle_seconds=0.05)
    await player.play(story, Ends())
    pid = player.pid
    await player.stop()
    await until(lambda: player.pid is None and not is_running(pid))
    await player.play(story, Ends())
    assert player.pid not in {None, pid}
    await player.close()


async def test_what_only_names_another_source_is_refused(
    sound: PulseServer, tmp_path: Path, player: MpvPlayer
) -> None:
    assert sound
    target = write_tone(tmp_path / "elsewhere" / "secret.wav", seconds=5, hertz=HIGH)
    traps = tmp_path / "card"
    traps.mkdir()
    write_traps(traps, target)
    ends = Ends()
    for trap in sorted(traps.iterdir()):
        with pytest.raises(RefusedError, match="play: cannot be played: "):
            await player.play(str(trap), ends)
        assert await player.position() is None
    for source in (f"edl://{target}", f"file://{target}", "memory://#EXTM3U", "lavf://x"):
        with pytest.raises(RefusedError, match="expected a file or an http"):
            await player.play(source, ends)
    assert ends.told == []


async def test_a_list_from_the_web_is_refused_and_its_entries_are_not_asked_for(
    sound: PulseServer, player: MpvPlayer
) -> None:
    assert sound
    other = CuttingServer(b"", [])
    async with other.serve() as entry:
        listing = CuttingServer(f"#EXTM3U\n#EXTINF:5,x\n{entry}\n".encode(), [])
        async with listing.serve() as url:
            with pytest.raises(RefusedError, match="cannot be played"):
                await player.play(url, Ends())
    assert listing.starts
    assert other.starts == []


async def test_a_stop_or_a_new_order_ends_the_loading_of_a_silent_server(
    sound: PulseServer, story: str, player: MpvPlayer
) -> None:
    asked: list[bytes] = []

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/song.mp3"
        for order in (player.stop(), player.play(story, Ends())):
            loading = asyncio.create_task(player.play(url, Ends()))
            await until(lambda: asked)
            asked.clear()
            await order
            with pytest.raises(UnavailableError, match="given up for a newer order"):
                await loading
        async with sound.ear() as ear:
            assert await ear.tone(LOW, HIGH) == LOW


async def test_a_cut_transfer_goes_on_where_it_was_heard(
    sound: PulseServer, tmp_path: Path, player: MpvPlayer
) -> None:
    body = write_tone(tmp_path / "s.wav", seconds=8, rate=48000, hertz=LOW).read_bytes()
    # Two new tries are refused.
    server = CuttingServer(body, [len(body) // 2, -1, -1])
    ends = Ends()
    async with server.serve() as url:
        assert is_stream(url)
        await player.play(url, ends)
        await until(lambda: ends.told)
    assert ends.told == [None]
    assert len(server.starts) >= 4
    assert sound


async def test_a_server_without_ranges_is_told_as_broken_off_and_nothing_is_heard_twice(
    sound: PulseServer, tmp_path: Path, player: MpvPlayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("machine.progress.BACK_OFF", (0.0, 0.1))
    body = write_tone(tmp_path / "s.wav", seconds=40, rate=48000, hertz=LOW).read_bytes()
    server = CuttingServer(body, [len(body) // 8] * 100, ranges=False)
    ends = Ends()
    async with server.serve() as url:
        await player.play(url, ends)
        await until(lambda: ends.told)
    assert str(ends.told[0]).startswith("at ")
    assert "of 40.0 s" in str(ends.told[0])
    assert sound


async def test_the_level_is_set_before_the_first_sound(sound: PulseServer, story: str) -> None:
    sound.pactl("set-sink-volume", "bench", "100%")

    class Quiet(AnyDevice):
        async def restore(self, *, renewed: bool) -> None:
            assert not renewed
            sound.pactl("set-sink-volume", "bench", "25%")

    player = MpvPlayer(Quiet())
    async with sound.ear() as ear:
        await player.play(story, Ends())
        await ear.tone(LOW, HIGH)
        loudest = max([max(await ear.block()) for _ in range(10)])
    await player.close()
    assert 12000 * 0.25**3 * 0.8 < loudest < 12000 * 0.25**3 * 1.2  # PulseAudio's scale is cubic


async def test_the_agents_memory_does_not_grow_while_it_plays(
    sound: PulseServer, tmp_path: Path, player: MpvPlayer
) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096

    assert sound
    story = str(write_tone(tmp_path / "short.wav", seconds=0.2, hertz=LOW))
    await player.play(story, Ends())
    before = resident()
    for _ in range(50):
        await player.play(story, Ends())
    assert resident() - before < 2_000_000


async def test_a_place_before_the_beginning_is_the_beginning(
    sound: PulseServer, player: MpvPlayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mpv's position is some -0.1 s as a track begins; it would go on there from the end."""
    del sound
    really, ends = MpvProcess.ask, Ends()

    async def ask(mpv: MpvProcess, name: str) -> object:
        return -0.1 if name == "time-pos" else await really(mpv, name)

    with monkeypatch.context() as beginning:
        beginning.setattr(MpvProcess, "ask", ask)
        await player.play(str(write_tone(tmp_path / "story.wav", seconds=60)), ends)
        assert await player.position() == 0.0
        first = player.pid
        assert first
        os.kill(first, signal.SIGKILL)
        await until(lambda: player.pid not in {None, first})
    await until_position(player, 0.2)
    assert (await player.position() or 0.0) < 10
    assert ends.told == []


async def test_a_source_that_ends_while_a_device_is_waited_for_has_ended(
    sound: PulseServer, player: MpvPlayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mpv opens no device for nothing, so that the wait would last for ever."""
    del sound
    ends = Ends()
    await player.play(str(write_tone(tmp_path / "story.wav", seconds=60)), ends)
    await until_position(player, 0.1)

    async def none(_mpv: MpvProcess) -> None:
        return None

    monkeypatch.setattr(MpvProcess, "read_output", none)
    assert player._mpv is not None
    player._mpv.tell_devices_changed()
    await until(lambda: player.waiting)
    await player._mpv.request("stop")
    await until(lambda: bool(ends.told))
    assert not player.waiting
