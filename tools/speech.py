"""Mandarin speech and what sounds beside it, for tests and benchmarks: espeak-ng reads pinyin.

Debian's ``-v cmn`` reads characters with English sounds. Pinyin with tone numbers and the voice
``cmn-latn-pinyin`` at a low rate gives Mandarin.
"""

from __future__ import annotations

import array
import math
import random
import shutil
import subprocess
from collections.abc import Iterable

from audio.pcm import Pcm
from audio.resample import resample
from audio.wav import read_wav

# Words per minute; above this rate the recogniser understands almost nothing.
ESPEAK_RATE = 120
SECONDS_LIMIT = 20.0


def has_espeak() -> bool:
    """Return whether this machine can make speech."""
    return shutil.which("espeak-ng") is not None


def speak(text: str, *options: str) -> bytes:
    """Return a WAV file of a Mandarin sentence; ``options`` are espeak-ng's (``-p 70``: pitch)."""
    from pypinyin import Style, lazy_pinyin  # noqa: PLC0415  # of the development tools alone

    pinyin = lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True)
    command = ["espeak-ng", "-v", "cmn-latn-pinyin", "-s", str(ESPEAK_RATE), *options, "--stdout"]
    done = subprocess.run(
        [*command, " ".join(pinyin)], capture_output=True, check=True, timeout=SECONDS_LIMIT
    )
    return done.stdout


def sound_of(text: str, rate: int, *options: str) -> Pcm:
    """Return a spoken sentence at ``rate`` samples/s, as the agent reads it."""
    read = read_wav(speak(text, *options))
    return Pcm(rate, resample(read.samples, read.rate, rate) if read.rate != rate else read.samples)


def rms(samples: Iterable[int]) -> float:
    """Return the root of the mean square of samples; 0.0 of none."""
    squares = [sample * sample for sample in samples]
    return math.sqrt(sum(squares) / len(squares)) if squares else 0.0


def scaled(samples: array.array[int], level: float) -> array.array[int]:
    """Return samples whose ``rms`` is ``level``."""
    gain = level / (rms(samples) or 1.0)
    return array.array("h", (clip(sample * gain) for sample in samples))


def added(one: array.array[int], other: array.array[int]) -> array.array[int]:
    """Return the sum of two sounds of one length."""
    return array.array("h", (clip(a + b) for a, b in zip(one, other, strict=True)))


def clip(sample: float) -> int:
    """Return the nearest sample that 16 bits hold."""
    return max(-32768, min(32767, round(sample)))


def noise(count: int, seed: int = 1) -> array.array[int]:
    """Return white noise."""
    rng = random.Random(seed)  # noqa: S311  # a sound, not a secret
    return array.array("h", (clip(rng.gauss(0, 3000)) for _ in range(count)))


def music(count: int, rate: int, seed: int = 1) -> array.array[int]:
    """Return plucked chords with eight harmonics each, one every 0.4 s."""
    rng = random.Random(seed)  # noqa: S311  # a sound, not a secret
    samples = [0.0] * count
    step = round(rate * 0.4)
    for start in range(0, count, step):
        for semitone in rng.sample((0, 4, 7, 9, 12, 16), 3):
            hertz = 220 * 2 ** (semitone / 12)
            for n in range(min(step * 2, count - start)):
                turn = 2 * math.pi * hertz * n / rate
                tone = sum(math.sin(turn * k) / k for k in (1, 2, 3, 5))
                samples[start + n] += 2000 * tone * math.exp(-3 * n / rate)
    return array.array("h", map(clip, samples))
