"""The loudness of a recording (ITU-R BS.1770-4): K-weighted, gated, in LUFS; for mono at 48 kHz.

Plain Python: a prompt has 2 s, which take half a second.
"""

from __future__ import annotations

import array
import math
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

RATE = 48000
# BS.1770-4, tables 1 and 2: the shelf of a head, then the high-pass, for 48 kHz.
SHELF = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (-1.69065929318241, 0.73248077421585),
)
HIGH_PASS = ((1.0, -2.0, 1.0), (-1.99004745483398, 0.99007225036621))
BLOCK_SECONDS, STEP_SECONDS = 0.4, 0.1
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0
MPV_SECONDS = 60


def read_mono(path: Path) -> array.array[float]:
    """Decode any recording with mpv to mono at 48 kHz; samples from -1 to 1."""
    with tempfile.TemporaryDirectory() as folder:
        decoded = Path(folder) / "x.wav"
        subprocess.run(
            ["mpv", "--no-config", "--no-terminal", "--no-video", str(path), f"--o={decoded}", "--of=wav",
             "--oac=pcm_s16le", f"--audio-samplerate={RATE}", "--audio-channels=mono"],
            check=True, timeout=MPV_SECONDS,
        )  # fmt: skip
        with wave.open(str(decoded)) as source:
            samples = array.array("h", source.readframes(source.getnframes()))
    if sys.byteorder == "big":
        samples.byteswap()
    return array.array("f", (sample / 32768 for sample in samples))


def loudness(samples: array.array[float]) -> float:
    """Return the integrated loudness in LUFS; -inf for silence. One block must be there (0.4 s)."""
    weighted = _filter(_filter(samples, *SHELF), *HIGH_PASS)
    block, step = int(BLOCK_SECONDS * RATE), int(STEP_SECONDS * RATE)
    powers = [
        sum(sample * sample for sample in weighted[start : start + block]) / block
        for start in range(0, max(1, len(weighted) - block + 1), step)
    ]
    loud = [power for power in powers if _lufs(power) > ABSOLUTE_GATE]
    if not loud:
        return -math.inf
    gate = _lufs(sum(loud) / len(loud)) + RELATIVE_GATE
    above = [power for power in loud if _lufs(power) > gate]
    return _lufs(sum(above) / len(above))


def peak(samples: array.array[float]) -> float:
    """Return the highest sample in dBFS."""
    return 20 * math.log10(max(map(abs, samples), default=0.0) or 1e-9)


def _lufs(power: float) -> float:
    return -0.691 + 10 * math.log10(power) if power > 0 else -math.inf


def _filter(
    samples: array.array[float], b: tuple[float, float, float], a: tuple[float, float]
) -> array.array[float]:
    x1 = x2 = y1 = y2 = 0.0
    out = array.array("f")
    for x in samples:
        y = b[0] * x + b[1] * x1 + b[2] * x2 - a[0] * y1 - a[1] * y2
        x2, x1, y2, y1 = x1, x, y1, y
        out.append(y)
    return out
