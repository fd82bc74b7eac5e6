"""Measures where each detector lets an utterance begin and end, beside what sounds in a child's room.

``python -m benchmarks.endpoint`` prints the table of docs/listening.md: of five spoken sentences a cell, how
many were one utterance with a clean begin (the first loud block is in it, and no second before it) and
with a clean end (0.5 to 1.2 s after the last loud block), and the medians of both delays.
"""

from __future__ import annotations

import array
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from audio.endpoint import BLOCK_SECONDS, Endpointer, Event
from audio.vad import BLOCK_BYTES, RATE, EnergyVad, SileroVad, Vad, WebrtcVad
from tools.speech import added, music, noise, rms, scaled, sound_of

SENTENCES = ("播放小兔子乖乖", "我想听三只小猪", "下一首", "请把声音调大一点", "今天天气很好")
STORY = "从前有一座山山里有一座庙庙里有一个老和尚在给小和尚讲故事"
LEAD, TAIL = 1.5, 2.5
LOUDNESS = 3000.0
ROOM = 20.0
# Of a sentence's blocks: louder is speech that a person hears.
LOUD = 300.0
DETECTORS: tuple[Callable[[], Vad], ...] = (EnergyVad, WebrtcVad, SileroVad)


@dataclass(frozen=True, slots=True)
class Result:
    """Delays in seconds; None if the begin or the end was not clean."""

    begin: float | None
    end: float | None


def scenes(count: int) -> Iterator[tuple[str, array.array[int]]]:
    """Yield names, and what sounds beside the child for ``count`` samples."""
    story = array.array("h", sound_of(STORY, RATE, "-p", "30").samples)
    story = (story * (count // len(story) + 1))[:count]
    yield "quiet room", scaled(noise(count), ROOM)
    yield "white noise, SNR 20", scaled(noise(count), LOUDNESS / 10)
    yield "white noise, SNR 10", scaled(noise(count), LOUDNESS / 3.16)
    yield "music, SNR 10", scaled(music(count, RATE), LOUDNESS / 3.16)
    yield "music, SNR 0", scaled(music(count, RATE), LOUDNESS)
    yield "spoken story, SNR 20", scaled(story, LOUDNESS / 10)


def silence(seconds: float) -> array.array[int]:
    """Return no sound."""
    return array.array("h", bytes(round(seconds * RATE) * 2))


def blocks(samples: array.array[int]) -> list[bytes]:
    """Cut samples into whole blocks."""
    data = samples.tobytes()
    return [
        data[at : at + BLOCK_BYTES] for at in range(0, len(data) - BLOCK_BYTES + 1, BLOCK_BYTES)
    ]


def judge(vad: Vad, heard: list[bytes], first: int, last: int) -> Result:
    """Run an endpointer over a scene in which speech is loud from block ``first`` to ``last``."""
    endpointer = Endpointer(vad)
    starts, ends, earliest = [], [], 0
    for number, block in enumerate(heard):
        step = endpointer.add(block)
        if step.event is Event.START:
            starts.append(number)
            earliest = earliest or number + 1 - len(step.blocks)
        elif step.event is not None:
            ends.append(number)
    begin = end = None
    if len(starts) == 1 and earliest <= first <= starts[0]:
        begin = (starts[0] - first + 1) * BLOCK_SECONDS
    if len(ends) == 1 and 0.5 <= (ends[0] - last) * BLOCK_SECONDS <= 1.2:
        end = (ends[0] - last) * BLOCK_SECONDS
    return Result(begin, end)


def measure() -> list[tuple[str, str, list[Result]]]:
    """Return the results of each scene with each detector."""
    spoken = [scaled(array.array("h", sound_of(s, RATE).samples), LOUDNESS) for s in SENTENCES]
    found: dict[tuple[str, str], list[Result]] = {}
    for samples in spoken:
        clean = silence(LEAD) + samples + silence(TAIL)
        loud = [n for n, block in enumerate(blocks(clean)) if rms(array.array("h", block)) > LOUD]
        for name, beside in scenes(len(clean)):
            heard = blocks(added(clean, beside))
            for make in DETECTORS:
                result = judge(make(), heard, loud[0], loud[-1])
                found.setdefault((name, make.__name__), []).append(result)
    return [(*key, results) for key, results in found.items()]


def cost() -> dict[str, float]:
    """Return the part of real time that each detector takes."""
    heard = blocks(noise(RATE * 10))
    parts = {}
    for make in DETECTORS:
        vad, started = make(), time.process_time()
        for block in heard:
            vad.is_speech(block)
        parts[make.__name__] = (time.process_time() - started) / 10
    return parts


def main() -> None:
    """Print both tables."""
    print(
        "| scene | detector | clean begins | clean ends | begin after | end after |\n|---|---|---|---|---|---|"
    )
    for scene, detector, results in measure():
        begins = [r.begin for r in results if r.begin is not None]
        ends = [r.end for r in results if r.end is not None]
        shown = [f"{1000 * statistics.median(v):.0f} ms" if v else "-" for v in (begins, ends)]
        print(f"| {scene} | {detector} | {len(begins)} | {len(ends)} | {shown[0]} | {shown[1]} |")
    for detector, part in cost().items():
        print(f"{detector}: {100 * part:.2f} % of a core")


if __name__ == "__main__":
    main()
