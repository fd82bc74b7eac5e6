"""The player's unit without its sandbox: systemd's own socket activation starts real mpv for each connection."""

from __future__ import annotations

import array
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from machine.mpv_host import start_host
from machine.mpv_launcher import OrderError, parse
from machine.mpv_process import DIED, MpvProcess
from machine.player import MpvPlayer, StandInPlayer, find_player
from tests.conftest import write_tone
from tests.machine.parts import DEADLINE, PulseServer, until, until_position

TONE, OTHER = 440.0, 880.0
LAUNCHER = [sys.executable, "-I", "-m", "machine.mpv_launcher"]


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    folder = tmp_path / "pulse"
    folder.mkdir()
    server = PulseServer(folder)
    monkeypatch.setenv("PULSE_SERVER", server.address)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def unit(tmp_path: Path) -> AsyncIterator[Path]:
    """Listen as story-player.socket does; yields the socket."""
    path = tmp_path / "mpv.sock"
    process = await asyncio.create_subprocess_exec(
        "systemd-socket-activate", "--accept", f"--listen={path}", *LAUNCHER,
        stderr=asyncio.subprocess.DEVNULL, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    await until(path.exists)
    yield path
    process.terminate()
    await process.wait()


def is_running(pid: int | None) -> bool:
    return Path(f"/proc/{pid}/exe").exists()


def ignore(_reason: str | None) -> None:
    pass


async def test_the_unit_plays_and_is_let_go(sound: PulseServer, unit: Path, tmp_path: Path) -> None:
    story = str(write_tone(tmp_path / "story.wav", seconds=60, hertz=TONE))
    player = find_player(unit=unit)
    assert isinstance(player, MpvPlayer)
    assert player.name == "mpv of story-player.socket: not started yet"
    async with sound.ear() as ear:
        await player.play(story, ignore)
        assert await ear.tone(TONE, OTHER) == TONE
        pid = player.pid
        assert Path(f"/proc/{pid}/exe").readlink().name == "mpv"  # noqa: ASYNC240
        assert player.name == "mpv of story-player.socket: pulse"
        await player.close()
        await ear.silence()
    assert not is_running(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_the_units_death_or_hanging_is_mended_by_another(
    sound: PulseServer,
    unit: Path,
    tmp_path: Path,
    number: int,
) -> None:
    story = str(write_tone(tmp_path / "story.wav", seconds=60, hertz=TONE))
    player = MpvPlayer(unit=unit)
    await player.play(story, ignore)
    heard = await until_position(player, 1.5)
    first = player.pid
    assert first
    os.kill(first, number)
    await until(lambda: player.pid not in {None, first})
    assert not is_running(first)  # a process that hangs in silence must not wake up later
    async with sound.ear() as ear:
        assert await ear.tone(TONE, OTHER) == TONE
        assert heard - 1.0 <= (await player.position() or 0.0) <= heard + 5.0
    await player.close()


async def test_the_unit_ends_with_the_agent(unit: Path, tmp_path: Path) -> None:
    code = (
        "import asyncio, pathlib, sys\n"
        "from machine.mpv_process import MpvProcess\n"
        "async def main():\n"
        "    mpv = await MpvProcess.start([], pathlib.Path(sys.argv[1]))\n"
        "    print(mpv.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(unit), stdout=asyncio.subprocess.PIPE, cwd=tmp_path
    )
    assert agent.stdout is not None
    pid = int(await agent.stdout.readline())
    assert is_running(pid)
    agent.kill()
    await agent.wait()
    await until(lambda: not is_running(pid))


async def test_the_unit_does_not_see_the_agents_folders_and_secrets(
    unit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORY_TOKEN", "secret")
    monkeypatch.setenv("HOME", "/var/lib/story-agent")
    monkeypatch.setenv("PULSE_SERVER", "unix:/run/pulse/native")
    mpv = await MpvProcess.start([], unit)
    seen = Path(f"/proc/{mpv.pid}/environ").read_bytes().split(b"\0")  # noqa: ASYNC240
    assert b"PULSE_SERVER=unix:/run/pulse/native" in seen
    assert not [line for line in seen if b"secret" in line or b"story-agent" in line]
    descriptors = Path(f"/proc/{mpv.pid}/fd")
    assert len(list(descriptors.iterdir())) < 20  # noqa: ASYNC240
    await mpv.close()


async def test_a_unit_that_cannot_start_mpv_is_a_death(tmp_path: Path) -> None:
    async def let_go(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    path = tmp_path / "mpv.sock"
    async with await asyncio.start_unix_server(let_go, path):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            host = await start_host([], theirs, path)
        async with asyncio.timeout(DEADLINE):
            await host.wait()


async def test_without_a_listener_the_player_is_a_child_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(find_player(unit=tmp_path / "none"), MpvPlayer)
    stale = tmp_path / "mpv.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(stale))
    mpv = await MpvProcess.start(["mpv"], stale)
    assert mpv.label == "mpv"
    await mpv.close()
    assert f"{stale}: Connection refused: the player runs as the agent's user" in caplog.text
    caplog.clear()
    mpv = await MpvProcess.start(["mpv"], tmp_path / "none")
    await mpv.close()
    assert "play:" not in caplog.text
    async with asyncio.timeout(DEADLINE):
        while (await mpv.events.get())["event"] != DIED:
            pass


async def test_a_unit_is_enough_where_the_agent_finds_no_mpv(
    unit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("machine.player.find_program", list)
    assert isinstance(find_player(unit=unit), MpvPlayer)
    assert isinstance(find_player(unit=tmp_path / "none"), StandInPlayer)


@pytest.mark.parametrize(
    ("sent", "descriptors", "told"),
    [
        (b"{}\n", 1, "options: expected an object of texts"),
        (b'{"options": {"idle": 1}, "environment": {}}\n', 1, "options: expected"),
        (b'{"options": {"a": "b\\u0000"}, "environment": {}}\n', 1, "options: expected"),
        (b'{"options": {}}\n', 1, "environment: expected"),
        (b"[" * 60_000 + b"\n", 1, "got no JSON"),
        (b"x" * 70_000, 1, "bytes without an end"),
        (b"{}", 1, "got 2 bytes without an end"),
        (b"{}\n", 0, "got 0 descriptors"),
        (b"", 0, "got 0 bytes without an end"),
    ],
)
def test_an_order_of_another_kind_is_refused_by_name(
    sent: bytes, descriptors: int, told: str
) -> None:
    as_unit = ["bash", "-c", 'exec 3<&0; exec "$@" </dev/null', "-", *LAUNCHER]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(as_unit, stdin=theirs.fileno(), stderr=subprocess.PIPE)
        theirs.close()
        given = array.array("i", [ours.fileno()] * descriptors)
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, given)] if descriptors else []
        if sent:
            ours.sendmsg([sent[:1]], extra)
            ours.sendall(sent[1:])
        ours.shutdown(socket.SHUT_WR)
        _, error = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert error.decode().startswith("story-player: ")
    assert told in error.decode()


def test_an_order_gives_no_environment_of_its_own() -> None:
    line = {"options": {"idle": "yes"}, "environment": {"LD_PRELOAD": "/tmp/x.so", "LANG": "C"}}
    assert parse(json.dumps(line).encode()) == ({"idle": "yes"}, {"LANG": "C"})
    with pytest.raises(OrderError):
        parse(b"null\n")
