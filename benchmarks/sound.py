"""Measures what a family hears and what it costs, on a running agent: order to sound, gaps, memory, CPU, writes.

A null sink of PulseAudio takes the sound, and its monitor tells when: in pieces of 10 ms, some 20 ms
late, the same for both sides. The reference is mpv alone, started with the same file or URL.
"""

from __future__ import annotations

import array
import functools
import http.server
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.local import SOCKET_NAME
from agent.local.client import AgentUnreachableError, LocalClient
from benchmarks.figures import Aim, Figure, command_line, figure
from benchmarks.memory import family, memory
from benchmarks.stage import agent, on_stage
from benchmarks.start import killed_when_late
from tools.bench import Bench
from tools.processes import BIN, BenchError
from tools.pulse import PulseServer

ROUNDS = 7
RATE = 8000
PIECE = RATE // 100
AUDIBLE = 100
DEADLINE = 30.0
TRACK_SECONDS = 3.0
# Long enough that its place is kept.
STORY_SECONDS = 700.0
WATCHED_SECONDS = 60.0
HOUR = 3600.0
# A position kept by one block of a file system at each of its times.
BLOCKS = "4 KiB each 5 s"
BLOCKS_MB = 4096 * HOUR / 5 / 1e6
CONFIG = '[play]\nallow_networks = ["127.0.0.0/8"]\n'
BARE_MPV = ("mpv", "--no-config", "--video=no", "--terminal=no", "--ao=pulse")


class Ear:
    """Records a monitor in a thread, and notes which pieces of it are sound."""

    def __init__(self, server: PulseServer) -> None:
        """Begin to record."""
        self._process = subprocess.Popen(
            ["parec", "--device=bench.monitor", f"--rate={RATE}", "--channels=1",
             "--format=s16le", "--latency-msec=10"],
            env=server.environment, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.pieces: list[tuple[float, bool]] = []
        self._thread = threading.Thread(target=self._record, daemon=True)
        self._thread.start()
        _wait(lambda: self.pieces)

    def sound_after(self, moment: float) -> float:
        """Return when the first sound after ``moment`` came."""
        return float(
            _wait(lambda: next((at for at, loud in self.pieces if loud and at > moment), 0))
        )

    def longest_silence(self, since: float) -> float:
        """Return the seconds of the longest silence between two sounds, at least a piece."""
        longest, silent = 1, 0
        for at, loud in list(self.pieces):
            if at > since:
                longest = max(longest, silent) if loud else longest
                silent = 0 if loud else silent + 1
        return longest * PIECE / RATE

    def wait_for_silence(self) -> None:
        """Wait until the last half second is silent."""
        _wait(lambda: not any(loud for _, loud in self.pieces[-50:]))

    def close(self) -> None:
        """End the recording."""
        self._process.terminate()
        self._process.wait()
        self._thread.join()

    def _record(self) -> None:
        assert self._process.stdout is not None
        while len(piece := self._process.stdout.read(2 * PIECE)) == 2 * PIECE:
            self.pieces.append((time.perf_counter(), max(array.array("h", piece)) >= AUDIBLE))


def _wait(look: Callable[[], Any]) -> Any:
    """Return what ``look`` returns as soon as it is true."""
    end = time.perf_counter() + DEADLINE
    while not (found := look()):
        if time.perf_counter() > end:
            raise BenchError(f"nothing heard in {DEADLINE:g} s")
        time.sleep(0.002)
    return found


class Order:
    """Gives orders to the agent's data points."""

    def __init__(self, bench: Bench) -> None:
        """Use the agent's Unix socket."""
        self._client = LocalClient(bench.state / SOCKET_NAME)

    def play(self, value: str) -> float:
        """Put ``value``, and return the moment before it."""
        before = time.perf_counter()
        answer = self._client.request("PUT", "/play", value.encode())
        if answer.status >= 300:
            raise BenchError(f"play {value}: {answer.status} {answer.body!r}")
        return before

    def play_when_it_answers(self, value: str) -> None:
        """Put ``value`` as soon as the agent takes it."""
        _wait(lambda: self._is_taken(value))

    def _is_taken(self, value: str) -> bool:
        try:
            self.play(value)
        except AgentUnreachableError:
            return False
        return True


def measure(bench: Bench) -> list[Figure]:
    """Measure one thing after the other; no agent may run on ``bench`` yet."""
    with tempfile.TemporaryDirectory(prefix="sound-") as name, _sound_server(Path(name)) as server:
        config = bench.folder / "agent.toml"
        before = config.read_text()
        config.write_text(before + CONFIG)
        titles = _write_tracks(bench.state / "media")
        ear = Ear(server)
        try:
            with _web_server(bench.state / "media") as address:
                return _measure(bench, ear, titles, address)
        finally:
            ear.close()
            config.write_text(before)


def _measure(bench: Bench, ear: Ear, titles: dict[str, Path], address: str) -> list[Figure]:
    long = titles["long"]
    url = f"{address}/long.wav"
    bare = {
        source: [_time_bare_mpv(ear, source) for _ in range(ROUNDS)] for source in (str(long), url)
    }
    starts = [_time_start(bench, ear) for _ in range(ROUNDS)]
    with agent(bench) as pid:
        order = Order(bench)
        order.play("long")
        local = [_time_order(order, ear, "long") for _ in range(ROUNDS)]
        web = [_time_order(order, ear, url) for _ in range(ROUNDS)]
        gap, bare_gap = _find_gap(order, ear), _find_bare_gap(ear, titles)
        order.play("stop")
        return [
            figure("order to sound, a file", "s", local, "mpv FILE", bare[str(long)]),
            figure("order to sound, the web", "s", web, "mpv URL", bare[url]),
            figure("service's start to sound", "s", starts, "mpv FILE", bare[str(long)],
                   Aim("ours", "<", 1.5)),
            figure("gap between tracks", "s", [gap], "mpv FILE FILE", [bare_gap]),
            *_measure_cost(order, pid),
        ]  # fmt: skip


def _measure_cost(order: Order, pid: int) -> list[Figure]:
    """Compare the agent while it plays, and afterwards, with the agent before."""
    idle = _watch(pid)
    order.play("long")
    player = next(each for each in family(pid) if _name(each) == "mpv")
    playing = _watch(pid)
    player_memory, player_cpu = memory(player).rss, _cpu(player)
    order.play("stop")
    after = _watch(pid)
    beside = "the same agent, idle"
    return [
        figure("agent's memory while playing", "MB", [playing["MB"]], beside, [idle["MB"]]),
        figure("agent's memory after it", "MB", [after["MB"]], beside, [idle["MB"]]),
        figure("player's memory", "MB", [player_memory], "all allowed", [80.0], Aim("ours", "<", 80)),
        figure("agent's CPU while playing", "%", [playing["%"]], "a core", [100.0]),
        figure("player's CPU", "%", [player_cpu / WATCHED_SECONDS * 100], "a core", [100.0]),
        figure("written an hour while playing", "MB", [playing["MB/h"]], BLOCKS, [BLOCKS_MB]),
        figure("written an hour while idle", "MB", [after["MB/h"]], BLOCKS, [BLOCKS_MB]),
    ]  # fmt: skip


def _watch(pid: int) -> dict[str, float]:
    """Return the agent's own memory at the end of a minute, and its CPU and writes in it."""
    cpu, written, begun = _cpu(pid), _written(pid), time.perf_counter()
    time.sleep(WATCHED_SECONDS)
    took = time.perf_counter() - begun
    return {
        "MB": _own_memory(pid),
        "%": (_cpu(pid) - cpu) / took * 100,
        "MB/h": (_written(pid) - written) / took * HOUR / 1e6,
    }


def _own_memory(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def _cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _written(pid: int) -> int:
    """Return the bytes that a process has had written to a disk (proc_pid_io(5))."""
    lines = Path(f"/proc/{pid}/io").read_text("ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _time_order(order: Order, ear: Ear, value: str) -> float:
    """Return the seconds from an order to its sound; the player runs already, as after a first story."""
    order.play("stop")
    ear.wait_for_silence()
    before = order.play(value)
    return ear.sound_after(before) - before


def _time_start(bench: Bench, ear: Ear) -> float:
    """Return the seconds from spawning the agent to the sound of what is ordered at once."""
    ear.wait_for_silence()
    begun = time.perf_counter()
    words: list[str | Path] = ["run", "--profile", bench.profile_path, "--state", bench.state]
    process = subprocess.Popen(
        [BIN / "story-agent", *words, "--config", bench.folder / "agent.toml"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with killed_when_late(process):
        Order(bench).play_when_it_answers("long")
        took = ear.sound_after(begun) - begun
        process.terminate()
        process.wait()
    return took


def _time_bare_mpv(ear: Ear, source: str) -> float:
    ear.wait_for_silence()
    begun = time.perf_counter()
    with _bare_mpv(source):
        return ear.sound_after(begun) - begun


def _find_gap(order: Order, ear: Ear) -> float:
    """Return the silence between two tracks of a folder."""
    order.play("stop")
    ear.wait_for_silence()
    begun = order.play("pair")
    ear.sound_after(begun + 1.5 * TRACK_SECONDS)
    return ear.longest_silence(begun)


def _find_bare_gap(ear: Ear, titles: dict[str, Path]) -> float:
    ear.wait_for_silence()
    begun = time.perf_counter()
    with _bare_mpv(str(titles["pair 1"]), str(titles["pair 2"])):
        ear.sound_after(begun + 1.5 * TRACK_SECONDS)
        return ear.longest_silence(ear.sound_after(begun))


@contextmanager
def _bare_mpv(*sources: str) -> Iterator[None]:
    process = subprocess.Popen([*BARE_MPV, *sources], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _sound_server(folder: Path) -> Iterator[PulseServer]:
    server = PulseServer(folder)
    before = os.environ.get("PULSE_SERVER")
    os.environ["PULSE_SERVER"] = server.address
    server.start()
    try:
        yield server
    finally:
        server.kill()
        os.environ.pop("PULSE_SERVER")
        if before is not None:
            os.environ["PULSE_SERVER"] = before


@contextmanager
def _web_server(folder: Path) -> Iterator[str]:
    """Serve ``folder`` on loopback; yields the address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _write_tracks(media: Path) -> dict[str, Path]:
    lengths = {"long": STORY_SECONDS, "pair 1": TRACK_SECONDS, "pair 2": TRACK_SECONDS}
    (media / "pair").mkdir(parents=True, exist_ok=True)
    return {
        title: _write_tone(media / ("pair" if "pair" in title else "") / f"{title}.wav", seconds)
        for title, seconds in lengths.items()
    }


def _write_tone(path: Path, seconds: float) -> Path:
    period = array.array("h", (int(12000 * math.sin(math.tau * n / 20)) for n in range(20)))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(period.tobytes() * int(seconds * RATE / 20))
    return path


if __name__ == "__main__":
    sys.exit(command_line(__doc__, on_stage(measure)))
