"""Mandarin speech for tests: espeak-ng speaking pinyin, through Speex as a device sends it.

``python -m tests.staging.recognition.speech`` prints the figures of docs/recognition.md.
"""

# ruff: noqa: T201  # prints figures

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path

from audio.pcm import Pcm
from audio.speex import SpeexEncoder, frame_samples
from staging.recognition.intents import find_intent
from staging.recognition.model import missing_packages
from staging.recognition.prompt import build_prompt
from staging.recognition.reassembly import Utterance
from staging.recognition.recogniser import Recogniser
from staging.recognition.sound import decode
from tools.speech import has_espeak, sound_of
from wire.voice import MAX_FRAMES

TITLES = ["小兔子乖乖", "两只老虎", "春天在哪里", "三只小猪", "数鸭子"]
SENTENCES = [
    "播放小兔子乖乖", "播放两只老虎", "播放春天在哪里", "我想听三只小猪", "上一首", "下一首", "暂停播放",
    "暂停", "继续播放", "继续", "停止播放", "停止", "调高音量", "调低音量", "请把声音调大一点", "声音小一点",
    "音量调到五", "音量调到十", "音量调到最大", "今天天气很好",
]  # fmt: skip


def missing() -> list[str]:
    """Return what is missing on this machine for speech: the extra's packages, or espeak-ng."""
    return missing_packages() + ([] if has_espeak() else ["espeak-ng"])


def through_speex(sound: Pcm) -> Pcm:
    """Encode and decode a sound as the device and the cloud do."""
    size = frame_samples(sound.rate) * 2
    samples = sound.samples + bytes(-len(sound.samples) % size)
    with SpeexEncoder(sound.rate) as encoder:
        frames = [encoder.encode(samples[n : n + size]) for n in range(0, len(samples), size)]
    parts = [tuple(frames[n : n + MAX_FRAMES]) for n in range(0, len(frames), MAX_FRAMES)]
    return decode(Utterance("", 0, sound.rate, tuple(parts)))


def memory_of(pid: int) -> list[str]:
    """Return the current and the peak memory of a process, from /proc."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return [line for line in lines if line.startswith(("VmRSS", "VmHWM"))]


async def measure(cache: Path, rate: int) -> None:
    """Print the result of each sentence at a rate, and the time and memory used."""
    recogniser = Recogniser(cache)
    prompt = build_prompt(TITLES)
    started = time.monotonic()
    await recogniser.recognise(Pcm(rate, bytes(rate)), prompt)
    print(f"\n{rate} Hz; start, load and first clip {time.monotonic() - started:.2f} s")
    times = []
    for text in SENTENCES:
        sound = through_speex(await asyncio.to_thread(sound_of, text, rate))
        heard = await recogniser.recognise(sound, prompt)
        times.append(heard.seconds)
        meant, got = find_intent(text), find_intent(heard.text)
        print(
            f"| {text} | {sound.seconds:.1f} | {heard.text} | {'yes' if meant == got else 'no'} "
            f"| {heard.confidence:.2f} | {heard.silence:.2f} |"
        )
    memory = await asyncio.to_thread(memory_of, recogniser.pid or 0)
    times.sort()
    print(f"clip median {times[len(times) // 2]:.2f} s, longest {times[-1]:.2f} s; {memory}")
    await recogniser.close()


async def main(cache: Path) -> None:
    """Run the measurement at both rates of the device protocol."""
    for rate in (16000, 8000):
        await measure(cache, rate)


if __name__ == "__main__":
    lacking = missing()
    if lacking:
        sys.exit(f"missing: {', '.join(lacking)}")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/models")))
