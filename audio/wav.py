"""Converts WAV files to the samples that Speex takes (mono, 16 bit, 8000 or 16000 samples/s), and back.

Channels are mixed, other rates resampled, and other kinds of samples converted (audio/wav_samples.py).
"""

from __future__ import annotations

import array
import struct
import sys

from audio.errors import AudioError
from audio.pcm import SAMPLE_BYTES, SPEEX_RATES, Pcm
from audio.resample import resample
from audio.wav_chunks import PCM, read_chunks
from audio.wav_samples import mix, to_16_bit

RATE_MIN, RATE_MAX = 4000, 192_000
CHANNELS_MAX = 8


def read_wav(data: bytes) -> Pcm:
    """Read a WAV file's bytes and convert them to a rate that Speex takes.

    Raises:
        AudioError: not a WAV file, or an unsupported format; the message names the property.
    """
    form, sound = read_chunks(data)
    if not 1 <= form.channels <= CHANNELS_MAX:
        raise _unfit("channels", form.channels, f"1 to {CHANNELS_MAX}")
    if not RATE_MIN <= form.rate <= RATE_MAX:
        raise _unfit("rate", form.rate, f"{RATE_MIN} to {RATE_MAX} samples/s")
    mono = mix(to_16_bit(form, sound), form.channels).tobytes()
    if not mono:
        raise _unfit("length", 0, "at least one sample")
    if form.rate in SPEEX_RATES:
        return Pcm(form.rate, mono)
    target = 16000 if form.rate > 16000 else 8000
    return Pcm(target, resample(mono, form.rate, target))


def _unfit(member: str, value: object, expected: str) -> AudioError:
    return AudioError(f"WAV {member}: got {value}, expected {expected}")


def render_wav(sound: Pcm) -> bytes:
    """Return the bytes of a WAV file with these samples."""
    samples = array.array("h", sound.samples)
    if sys.byteorder == "big":
        samples.byteswap()
    size = len(sound.samples)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
        + struct.pack(
            "<4sIHHIIHH", b"fmt ", 16, PCM, 1, sound.rate, sound.rate * SAMPLE_BYTES,
            SAMPLE_BYTES, 8 * SAMPLE_BYTES,
        )
        + struct.pack("<4sI", b"data", size)
        + samples.tobytes()
    )  # fmt: skip
