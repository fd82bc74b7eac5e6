"""Converts WAV files to the samples that Speex takes (mono, 16 bit, 8000 or 16000 samples/s), and back.

Channels are mixed and other rates resampled; anything but 16-bit PCM is refused.
"""

from __future__ import annotations

import array
import io
import sys
import wave

from audio.errors import AudioError
from audio.pcm import SAMPLE_BYTES, SPEEX_RATES, Pcm
from audio.resample import resample

RATE_MIN, RATE_MAX = 4000, 192_000
CHANNELS_MAX = 8
# Recorders that write to a pipe do not know the length and announce about 2 or 4 GiB.
STREAM_BYTES = 0x7FFF_0000


def read_wav(data: bytes) -> Pcm:
    """Read a WAV file's bytes and convert them to a rate that Speex takes.

    Raises:
        AudioError: not a WAV file, or an unsupported format; the message names the property.
    """
    try:
        with wave.open(io.BytesIO(data)) as source:
            channels, width, rate = (
                source.getnchannels(),
                source.getsampwidth(),
                source.getframerate(),
            )
            promised = source.getnframes() * channels * width
            frames = source.readframes(source.getnframes())
    except (wave.Error, EOFError, OverflowError, RuntimeError) as error:  # a truncated chunk
        reason = str(error) or "it is cut short"
        raise AudioError(f"not a WAV file with PCM samples: {reason}") from error
    if width != SAMPLE_BYTES:
        raise _unfit("sample width", width * 8, "16 bit")
    if not 1 <= channels <= CHANNELS_MAX:
        raise _unfit("channels", channels, f"1 to {CHANNELS_MAX}")
    if not RATE_MIN <= rate <= RATE_MAX:
        raise _unfit("rate", rate, f"{RATE_MIN} to {RATE_MAX} samples/s")
    if len(frames) < promised < STREAM_BYTES:
        raise _unfit("data", len(frames), f"the {promised} bytes that its header promises")
    mono = _mix(frames, channels)
    if not mono:
        raise _unfit("length", 0, "at least one sample")
    if rate in SPEEX_RATES:
        return Pcm(rate, mono)
    target = 16000 if rate > 16000 else 8000
    return Pcm(target, resample(mono, rate, target))


def _unfit(member: str, value: object, expected: str) -> AudioError:
    return AudioError(f"WAV {member}: got {value}, expected {expected}")


def _mix(frames: bytes, channels: int) -> bytes:
    samples = array.array(
        "h", frames[: len(frames) // (SAMPLE_BYTES * channels) * SAMPLE_BYTES * channels]
    )
    if sys.byteorder == "big":
        samples.byteswap()  # WAV is little-endian
    if channels > 1:
        by_channel = (samples[channel::channels] for channel in range(channels))
        samples = array.array(
            "h", (sum(group) // channels for group in zip(*by_channel, strict=True))
        )
    return samples.tobytes()


def render_wav(sound: Pcm) -> bytes:
    """Return the bytes of a WAV file with these samples."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(SAMPLE_BYTES)
        out.setframerate(sound.rate)
        out.writeframes(sound.samples)
    return buffer.getvalue()
