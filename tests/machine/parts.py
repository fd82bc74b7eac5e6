"""Parts that the player's tests share: a sound server that dies, a web server that cuts, an ear."""

from __future__ import annotations

import array
import asyncio
import contextlib
import math
import os
import random
import re
import shutil
import wave
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from machine.player import MpvPlayer
from tools import pulse

DEADLINE = 60.0
RATE = 8000
BLOCK_SECONDS = 0.1
# Of the tones of write_tone.
TONE_PEAK = 12000
AUDIBLE = 100


class PulseServer(pulse.PulseServer):
    """A sound server that a test listens to."""

    @asynccontextmanager
    async def ear(self, sink: str = "bench") -> AsyncIterator[Ear]:
        """Record the sink's monitor."""
        process = await asyncio.create_subprocess_exec(
            "parec", f"--device={sink}.monitor", f"--rate={RATE}", "--channels=1", "--format=s16le",
            "--latency-msec=20", env=self.environment, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        ear = Ear(process.stdout)
        try:
            async with asyncio.timeout(DEADLINE):
                await ear.block()  # it records: a monitor begins with a delay
            yield ear
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


class Ear:
    """Recognises tones in a recording."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def block(self) -> array.array[int]:
        """Return the next tenth of a second of samples."""
        return array.array("h", await self._reader.readexactly(int(RATE * BLOCK_SECONDS) * 2))

    async def tone(self, *candidates: float) -> float:
        """Wait for a sound, and return which of the frequencies it is."""
        async with asyncio.timeout(DEADLINE):
            while max(samples := await self.block()) < AUDIBLE:
                pass
            samples = await self.block()
        return max(candidates, key=lambda hertz: power(samples, hertz))

    async def level(self) -> float:
        """Return the next tenth of a second's loudest sample in dB of `write_tone`'s."""
        return 20 * math.log10(max(1, *(await self.block())) / TONE_PEAK)

    async def until_tone(self, hertz: float, *, not_any_more: float) -> None:
        """Wait until one tone has taken the other's place."""
        async with asyncio.timeout(DEADLINE):
            while await self.tone(hertz, not_any_more) != hertz:
                pass

    async def silence(self) -> None:
        """Wait until a tenth of a second is silent."""
        async with asyncio.timeout(DEADLINE):
            while max(await self.block()) >= AUDIBLE:
                pass


def power(samples: array.array[int], hertz: float) -> float:
    """Return the power of one frequency."""
    angles = [2 * math.pi * hertz * number / RATE for number in range(len(samples))]
    pairs = list(zip(samples, angles, strict=True))
    real = sum(sample * math.cos(angle) for sample, angle in pairs)
    imaginary = sum(sample * math.sin(angle) for sample, angle in pairs)
    return real * real + imaginary * imaginary


@contextlib.contextmanager
def lone_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    """Run a sound server in ``folder``; without it there is no device, for ALSA has none either."""
    server = PulseServer(folder)
    monkeypatch.setenv("PULSE_SERVER", server.address)
    (folder / "asoundrc").write_text("pcm.!default { type hw card 31 }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(folder / "asoundrc"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


async def until(look: Callable[[], Any]) -> None:
    """Wait until ``look`` returns something true."""
    async with asyncio.timeout(DEADLINE):
        while not look():
            await asyncio.sleep(0.01)


async def until_position(player: MpvPlayer, seconds: float) -> float:
    """Wait until ``player`` has played ``seconds``; return its position."""
    async with asyncio.timeout(DEADLINE):
        while (position := await player.position() or 0.0) < seconds:
            await asyncio.sleep(0.01)
    return position


def write_two_tones(path: Path, first: float, second: float, *, seconds: float) -> str:
    """Write ``seconds`` of one tone and then as much of another."""
    samples = array.array("h", [
        int(TONE_PEAK * math.sin(2 * math.pi * (first if n < seconds * RATE else second) * n / RATE))
        for n in range(int(2 * seconds * RATE))
    ])  # fmt: skip
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    return str(path)


def write_traps(folder: Path, target: Path) -> None:
    """Write files with an audio name that lead elsewhere."""
    (folder / "m3u.mp3").write_text(f"#EXTM3U\n#EXTINF:5,x\n{target}\n")
    (folder / "plain.mp3").write_text(f"{target}\n")
    (folder / "edl.mp3").write_text(f"# mpv EDL v0\n{target}\n")
    (folder / "hls.mp3").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n"
    )
    (folder / "concat.mp3").write_text(f"ffconcat version 1.0\nfile '{target}'\n")
    (folder / "pls.mp3").write_text(f"[playlist]\nFile1={target}\nNumberOfEntries=1\n")
    (folder / "cue.mp3").write_text(
        f'FILE "{target}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n'
    )
    (folder / "folder.mp3").mkdir()
    shutil.copy(target, folder / "folder.mp3" / "a.wav")
    with zipfile.ZipFile(folder / "zip.mp3", "w") as archive:
        archive.write(target, "a.wav")


class CuttingServer:
    """Serves one body over HTTP, each transfer cut after some of its bytes.

    Attributes:
        starts: the first byte of each request.
    """

    def __init__(self, body: bytes, cuts: list[int], *, ranges: bool = True) -> None:
        """Cut the n-th answer after ``cuts[n]`` bytes, later ones not at all; -1 refuses it."""
        self._body = body
        self._cuts = cuts
        self._ranges = ranges
        self.starts: list[int] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, then close."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        found = re.search(r"(?i)^range: bytes=(\d+)-", head, re.MULTILINE) if self._ranges else None
        first = int(found[1]) if found else 0
        cut = (
            self._cuts[len(self.starts)] if len(self.starts) < len(self._cuts) else len(self._body)
        )
        self.starts.append(first)
        if cut < 0:
            writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()
            return
        lines = [
            "HTTP/1.1 206 Partial Content" if found else "HTTP/1.1 200 OK",
            "Content-Type: audio/wav", f"Content-Length: {len(self._body) - first}",
            "Connection: close",
        ]  # fmt: skip
        if self._ranges:
            lines.append("Accept-Ranges: bytes")
        if found:
            lines.append(f"Content-Range: bytes {first}-{len(self._body) - 1}/{len(self._body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode() + self._body[first : first + cut])
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve; yields the URL."""
        async with await asyncio.start_server(self.answer, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/story.wav"


async def level_in_decibels(ear: Ear) -> float:
    """Return the power of half a second of sound in dB of full scale; -100 for silence.

    It is the median of five tenths: a sound server on a busy machine leaves gaps in one or two of them.
    """
    return median([level_of_samples(await ear.block()) for _ in range(5)])


def level_of_samples(samples: Sequence[int]) -> float:
    """Return their power in dB of full scale; -100 for silence."""
    mean = sum(sample * sample for sample in samples) / len(samples)
    return 10 * math.log10(max(mean / 32768**2, 1e-10))


def write_sound(
    path: Path, lufs: float, *, seconds: float = 2.0, noise: bool = False, rate: int = 48000
) -> Path:
    """Write stereo of a known loudness: a sine of 997 Hz, whose peak is its loudness, or noise.

    The noise is white and has the sine's power; its K-weighting makes it some 3 dB louder.
    """
    peak = 10 ** (lufs / 20) * 32767
    chance = random.Random(1)

    def sample(number: int) -> int:
        if noise:
            return max(-32768, min(32767, round(chance.gauss(0.0, peak / math.sqrt(2)))))
        return round(peak * math.sin(2 * math.pi * 997 * number / rate))

    # A second of it again and again: 997 periods are whole.
    second = array.array("h")
    for number in range(rate):
        second.extend((sample(number),) * 2)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((second * math.ceil(seconds)).tobytes()[: int(seconds * rate) * 4])
    return path


def processes_of(name: str) -> Callable[[], list[int]]:
    """Return a function that lists this process's children that run the program ``name``."""

    def find() -> list[int]:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()
        comms = {int(pid): Path(f"/proc/{pid}/comm") for pid in children}
        return [pid for pid, comm in comms.items() if comm.exists() and name in comm.read_text()]

    return find
