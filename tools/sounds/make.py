"""Makes the machine's own sounds: ``python -m tools.sounds.make``, run by hand; its files are in the tree.

It needs espeak-ng, mpv and pypinyin. Mandarin is given to espeak-ng as pinyin with tone numbers: its voice for
Chinese characters says pinyin's letters with English sounds (Debian 12). Every file is brought to one loudness.
"""

from __future__ import annotations

import array
import hashlib
import json
import math
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterable
from pathlib import Path

from pypinyin import Style, lazy_pinyin

from tools.sounds.loudness import RATE, loudness, peak, read_mono
from tools.sounds.texts import PROMPTS, TONES, Notes

SOUNDS = Path(__file__).parents[2] / "resources" / "announce" / "sounds"
MANIFEST = SOUNDS / "manifest.json"
# Of espeak-ng: a woman's variant, slowly; at its usual 175 words a minute Mandarin is hard to follow.
VOICES = {"zh": ("cmn-latn-pinyin+f2", 145), "en": ("en+f2", 145)}
PITCH = 60
# LUFS. Prompts are a little softer than stories (streams have -16 to -20), tones softer again.
PROMPT_LUFS, TONE_LUFS = -21.0, -26.0
# dBFS; a short tone would have to be much higher than a prompt to be as loud.
PROMPT_PEAK, TONE_PEAK = -1.5, -10.0
# Bits per second: speech stays clear, and a sentence of 2 s has 5 KB.
BITS = 16000
# A tone swells for 8 ms and fades to its end. A silence behind each sound keeps a sound card that
# stops at once from cutting it.
ATTACK_SECONDS, TAIL_SECONDS = 0.008, 0.06
# Below this a prompt's beginning and end are silence.
SILENCE = 0.01
PROGRAM_SECONDS = 60

Samples = array.array  # of "f", mono, at RATE


def main() -> int:
    """Make all files and their manifest."""
    made = {**make_prompts(), **make_tones()}
    MANIFEST.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


def make_prompts() -> dict[str, object]:
    """Make the prompts; return their entries in the manifest."""
    made: dict[str, object] = {}
    for cue, words in PROMPTS.items():
        for language, text in zip(VOICES, words, strict=True):
            said = to_pinyin(text) if language == "zh" else text
            voice, speed = VOICES[language]
            name = f"{language}/{cue}.opus"
            told = {
                "text": text,
                "said": said,
                "voice": f"espeak-ng -v {voice} -s {speed} -p {PITCH}",
            }
            made[name] = told | write(name, speak(voice, speed, said), PROMPT_LUFS, PROMPT_PEAK)
    return made


def make_tones() -> dict[str, object]:
    """Make the tones; return their entries in the manifest."""
    return {
        name: {"notes": notes} | write(name, sing(notes), TONE_LUFS, TONE_PEAK)
        for name, notes in ((f"tones/{cue}.opus", notes) for cue, notes in TONES.items())
    }


def to_pinyin(text: str) -> str:
    """Return a Chinese sentence as pinyin with tone numbers, words apart."""
    return " ".join(lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True))


def speak(voice: str, speed: int, said: str) -> Samples[float]:
    """Let espeak-ng say ``said``, ``speed`` words a minute, without the silence around it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.wav"
        subprocess.run(
            ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(PITCH), "-w", str(path), said],
            check=True, timeout=PROGRAM_SECONDS,
        )  # fmt: skip
        samples = read_mono(path)
    loud = [number for number, sample in enumerate(samples) if abs(sample) > SILENCE]
    return samples[max(0, loud[0] - 500) : loud[-1] + 2000]


def sing(notes: Notes) -> Samples[float]:
    """Return a tone's samples."""
    samples = array.array("f")
    for hertz, seconds in notes:
        count = int(seconds * RATE)
        samples.extend(
            min(1.0, number / RATE / ATTACK_SECONDS)
            * (1 - number / count) ** 2
            * math.sin(2 * math.pi * hertz * number / RATE)
            for number in range(count)
        )
    return samples


def write(name: str, samples: Samples[float], lufs: float, highest: float) -> dict[str, object]:
    """Encode ``samples`` at a loudness, or as near as a peak of ``highest`` allows; return SHA-256 and loudness."""
    path = SOUNDS / name
    gain = min(lufs - loudness(samples), highest - peak(samples))
    factor = 10 ** (gain / 20)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "x.wav"
        write_wav(source, (sample * factor for sample in samples))
        subprocess.run(
            ["mpv", "--no-config", "--no-terminal", str(source), f"--o={path}", "--oac=libopus",
             f"--oacopts=b={BITS}", "--audio-channels=mono",
             "--ofopts=fflags=+bitexact"],  # the same bytes each time
            check=True, timeout=PROGRAM_SECONDS,
        )  # fmt: skip
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"sha256": sha256, "lufs": round(loudness(read_mono(path)), 1)}


def write_wav(path: Path, samples: Iterable[float]) -> None:
    """Write mono samples from -1 to 1, and a short silence behind them."""
    pcm = array.array("h", (round(sample * 32767) for sample in samples))
    pcm.extend([0] * int(TAIL_SECONDS * RATE))
    if sys.byteorder == "big":
        pcm.byteswap()
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(pcm.tobytes())


if __name__ == "__main__":
    sys.exit(main())
