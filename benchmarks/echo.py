"""Measures what echo cancellation leaves of a story and of a child who speaks over it.

``chrt -r 20 python -m benchmarks.echo`` prints the table of docs/listening.md; without the priority that a machine's sound server
has, other work on the PC spoils it. A real PulseAudio has a loudspeaker and a
microphone, which hears the loudspeaker (module-loopback, 20 ms) and the child; module-echo-cancel is between them as
agent/doctor/recipes/story-echo-cancel.pa loads it, or with other arguments. The path is causal, linear and without a room's
reverberation, so a real machine's figures are worse.
"""

from __future__ import annotations

import array
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.doctor.echo import LOAD
from tests.agent.voice.test_real_audio import correlation
from tools.pulse import PulseServer
from tools.speech import rms, scaled, sound_of

RATE = 16000
SENTENCE = "播放小兔子乖乖"
STORY = "从前有一座山山里有一座庙庙里有一个老和尚在给小和尚讲故事"
CHILD = 3000.0
# How much louder the child is in the microphone than the story, in dB.
RATIOS = (0.0, 10.0)
# Samples of a part of the sentence: two syllables.
PART = 6400
# Seconds until the canceller knows the path, of the story alone, and of all that is recorded.
LEARNS, WHOLE = 10.0, 18.0
SETTLES = 4.0
OURS = " ".join(LOAD[3:])
METHODS = {
    "none": "",
    "webrtc as in the recipe": OURS,
    "webrtc, the module's defaults": "aec_method=webrtc",
    "speex": "aec_method=speex",
}


class Room(PulseServer):
    """A loudspeaker ``bench`` and a microphone ``mic.monitor`` that hears it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._awake: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it with its echo."""
        super().start()
        self.pactl("load-module", "module-null-sink", "sink_name=mic")
        # A null sink that nobody plays into sleeps, and its monitor begins with a delay.
        for sink in ("bench", "mic"):
            self._awake.append(
                subprocess.Popen(
                    ["pacat", "--latency-msec=20", f"--device={sink}", "/dev/zero"],
                    env=self.environment, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip

    def echo(self) -> None:
        """Let the microphone hear the loudspeaker. The canceller takes over what reads its monitor and may be moved."""
        self.pactl(
            "load-module", "module-loopback", "source=bench.monitor", "sink=mic", "latency_msec=20",
            "adjust_time=0", "source_dont_move=yes", "sink_dont_move=yes",
        )  # fmt: skip
        time.sleep(SETTLES)

    def kill(self) -> None:
        """Kill it at once."""
        super().kill()
        for player in self._awake:
            player.kill()
            player.wait(10)

    def cancel(self, words: str) -> None:
        """Load the canceller."""
        names = (
            "source_name=story_mic sink_name=story_out source_master=mic.monitor sink_master=bench"
        )
        self.pactl("load-module", "module-echo-cancel", *names.split(), *_words(words))

    @contextmanager
    def plays(self, sink: str, sound: array.array[int]) -> Iterator[None]:
        """Play ``sound`` into a sink while the block lasts."""
        command = [
            "pacat", "--playback", f"--device={sink}", f"--rate={RATE}", "--channels=1",
            "--format=s16le", "--latency-msec=200",
        ]  # fmt: skip
        with tempfile.TemporaryFile() as source:
            source.write(sound.tobytes())
            source.seek(0)
            with subprocess.Popen(command, stdin=source, env=self.environment) as player:
                yield
                player.kill()

    @contextmanager
    def records(self, source: str, file: Path) -> Iterator[None]:
        """Record a source into ``file`` while the block lasts."""
        command = [
            "parec",
            f"--device={source}",
            f"--rate={RATE}",
            "--channels=1",
            "--format=s16le",
        ]
        with (
            file.open("wb") as target,
            subprocess.Popen(
                [*command, "--latency-msec=50"], stdout=target, env=self.environment
            ) as recorder,
        ):
            yield
            recorder.terminate()


def _words(text: str) -> list[str]:
    name, _, value = text.partition(" aec_args=")
    return [name, f"aec_args={value}"] if value else text.split()


def db(level: float) -> float:
    return 20 * math.log10(max(level, 0.1))


def measure(folder: Path, words: str, ratio: float) -> tuple[float, float, float, float]:
    """Return the echo's level against the story's in dB, the sentence's correlation, that of its parts, and its gain in dB."""
    room = Room(folder)
    room.start()
    try:
        if words:
            room.cancel(words)
        room.echo()
        sink, source = ("story_out", "story_mic") if words else ("bench", "mic.monitor")
        return hear(room, sink, source, CHILD / 10 ** (ratio / 20))
    finally:
        room.kill()


def hear(room: Room, sink: str, source: str, loudness: float) -> tuple[float, float, float, float]:
    """Play the story, then the sentence over it, and compare."""
    tale = scaled(array.array("h", sound_of(STORY, RATE, "-p", "30").samples), loudness)
    story = (tale * (round(WHOLE * RATE) // len(tale) + 2))[: round((WHOLE + 4) * RATE)]
    child = scaled(array.array("h", sound_of(SENTENCE, RATE).samples), CHILD)
    file = room.folder / "heard.raw"
    with room.records(source, file), room.plays(sink, story):
        time.sleep(LEARNS)
        alone = file.stat().st_size // 2
        with room.plays("mic", child):
            time.sleep(WHOLE - LEARNS)
    data = file.read_bytes()
    heard = array.array("h", data[: len(data) // 2 * 2])
    before = heard[alone - round(3.5 * RATE) : alone - round(0.5 * RATE)]
    found = find(child, heard[alone - RATE :])
    return (
        db(rms(before)) - db(loudness),
        correlation(child, found),
        by_parts(child, heard[alone - RATE :]),
        db(rms(found)) - db(rms(child)),
    )


def by_parts(child: array.array[int], heard: array.array[int]) -> float:
    """Return the median correlation of the sentence's loud parts, each aligned by itself: a server may skip between them."""
    parts = [child[n : n + PART] for n in range(0, len(child) - PART + 1, PART)]
    loud = [part for part in parts if rms(part) > CHILD / 2]
    return statistics.median(correlation(part, find(part, heard)) for part in loud)


def find(sound: array.array[int], within: array.array[int]) -> array.array[int]:
    """Return the part of a longer sound that correlates best with ``sound``."""
    import numpy  # noqa: ICN001, PLC0415  # of the extra [wake], for this table alone

    one, other = numpy.array(sound, float), numpy.array(within, float)
    size = 1 << (len(one) + len(other)).bit_length()
    product = numpy.fft.irfft(numpy.fft.rfft(other, size) * numpy.fft.rfft(one, size).conj(), size)
    energy = numpy.concatenate([[0.0], numpy.cumsum(other**2)])
    lags = len(other) - len(one)
    norms = numpy.sqrt(energy[len(one) :] - energy[: lags + 1]) + 1.0
    at = int(numpy.argmax(product[: lags + 1] / norms))
    return within[at : at + len(sound)]


def main() -> int:
    print(
        "| echo cancellation | child / story | the story is left at | correlation of the sentence | of its parts | its level |"
    )
    print("|---|---|---|---|---|---|")
    for ratio in RATIOS:
        for name, words in METHODS.items():
            with tempfile.TemporaryDirectory() as folder:
                echo, fit, parts, gain = measure(Path(folder), words, ratio)
            row = f"{ratio:+.0f} dB | {echo:+.0f} dB | {fit:.2f} | {parts:.2f} | {gain:+.1f} dB"
            print(f"| {name} | {row} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
