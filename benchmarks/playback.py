"""Measures the player: order to playing, stop, and memory, with mpv and with libmpv in the child.

A null sink of PulseAudio takes the sound. "Playing" is the answer of `play`: mpv has opened the sound
device and is no longer paused. The reference is the same with machine/libmpv_child.py.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
import wave
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.figures import Aim, Figure, command_line, figure
from benchmarks.memory import memory
from machine.errors import ResourceError
from machine.mpv_program import LIBMPV_CHILD, PROGRAM
from machine.player import MpvPlayer
from tools.pulse import PulseServer

ROUNDS = 10
TRACKS = 500
MB = 1_000_000
LIBMPV = (sys.executable, "-I", "-S", LIBMPV_CHILD)


def measure() -> list[Figure]:
    """Measure both programs one after the other."""
    with tempfile.TemporaryDirectory(prefix="playback-") as name:
        folder = Path(name)
        server = PulseServer(folder)
        os.environ["PULSE_SERVER"] = server.address
        server.start()
        try:
            track = _write_track(folder / "track.wav")
            ours = asyncio.run(_measure((PROGRAM,), track))
            reference = asyncio.run(_measure(LIBMPV, track))
        finally:
            server.kill()
    aims = {
        "stop while a silent server loads": Aim("ours", "<", 0.3),
        f"player's memory after {TRACKS} tracks": Aim("ours", "<", 80.0),
        "agent's memory while playing, over idle": Aim("ours", "<", 2.0),
    }
    return [
        figure(name, unit, values, "libmpv in a child", reference[name, unit], aims.get(name))
        for (name, unit), values in ours.items()
    ]


def _write_track(path: Path) -> str:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(44100)
        out.writeframes(bytes(4 * 44100 * 60))
    return str(path)


async def _measure(program: Sequence[str], track: str) -> dict[tuple[str, str], list[float]]:
    first, following, stops, sizes = [], [], [], []
    before = _own_memory()
    for _ in range(ROUNDS):
        player = MpvPlayer(program=program)
        first.append(await _time_play(player, track))
        following.append(await _time_play(player, track))
        stops.append(await _time_stop(player))
        assert player.pid is not None
        sizes.append(memory(player.pid).rss)
        await player.close()
    player = MpvPlayer(program=program)
    for _ in range(TRACKS):
        await player.play(track, lambda _reason: None)
    assert player.pid is not None
    flat, own = memory(player.pid).rss, _own_memory()
    await player.close()
    return {
        ("first order to playing", "s"): first,
        ("next order to playing", "s"): following,
        ("stop while a silent server loads", "s"): stops,
        ("player's memory", "MB"): sizes,
        (f"player's memory after {TRACKS} tracks", "MB"): [flat],
        ("agent's memory while playing, over idle", "MB"): [own - before],
    }


def _own_memory() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / MB


async def _time_play(player: MpvPlayer, track: str) -> float:
    started = time.perf_counter()
    await player.play(track, lambda _reason: None)
    return time.perf_counter() - started


async def _time_stop(player: MpvPlayer) -> float:
    """Return the seconds that a stop takes while a server that says nothing loads."""
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.mp3"
        loading = asyncio.create_task(player.play(url, lambda _reason: None))
        await asked.wait()
        started = time.perf_counter()
        await player.stop()
        took = time.perf_counter() - started
        with suppress(ResourceError):
            await loading
    return took


if __name__ == "__main__":
    sys.exit(command_line(__doc__, measure))
