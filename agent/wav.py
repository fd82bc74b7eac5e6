"""Converts WAV files to the samples that Speex takes: mono, 16 bit, 8000 or 16000 samples/s.

Channels are mixed and other rates resampled; anything but 16-bit PCM is refused.
"""

from __future__ import annotations

import array
import ctypes
import io
import sys
import wave
from dataclasses import dataclass
from functools import cache

from wire.errors import FieldError, WireError
from wire.speex import SAMPLE_BYTES
from wire.voice import RATES

RATE_MIN, RATE_MAX = 4000, 192_000
CHANNELS_MAX = 8
# Recorders that write to a pipe do not know the length and announce about 2 or 4 GiB.
STREAM_BYTES = 0x7FFF_0000
# libspeexdsp: 3 is "VoIP" quality; it takes 1 % of a Pi's core.
RESAMPLER_QUALITY = 3


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples, native-endian signed 16 bit, at ``rate`` samples/s."""

    rate: int
    samples: bytes

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return len(self.samples) / SAMPLE_BYTES / self.rate


def read_wav(data: bytes) -> Sound:
    """Read a WAV file's bytes and convert them to a rate that Speex takes.

    Raises:
        WireError: not a WAV file, or an unsupported format; the message names the property.
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
        raise WireError(f"not a WAV file with PCM samples: {reason}") from error
    if width != SAMPLE_BYTES:
        raise FieldError("WAV sample width", width * 8, "16 bit")
    if not 1 <= channels <= CHANNELS_MAX:
        raise FieldError("WAV channels", channels, f"1 to {CHANNELS_MAX}")
    if not RATE_MIN <= rate <= RATE_MAX:
        raise FieldError("WAV rate", rate, f"{RATE_MIN} to {RATE_MAX} samples/s")
    if len(frames) < promised < STREAM_BYTES:
        raise FieldError("WAV data", len(frames), f"the {promised} bytes that its header promises")
    mono = _mix(frames, channels)
    if not mono:
        raise FieldError("WAV length", 0, "at least one sample")
    if rate in RATES:
        return Sound(rate, mono)
    target = 16000 if rate > 16000 else 8000
    return Sound(target, resample(mono, rate, target))


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


def resample(samples: bytes, rate: int, target: int) -> bytes:
    """Convert mono samples from ``rate`` to ``target`` samples/s with libspeexdsp.

    Raises:
        WireError: libspeexdsp is not installed, or cannot convert this rate.
    """
    library = _speexdsp(rate)
    failure = ctypes.c_int()
    state = library.speex_resampler_init(1, rate, target, RESAMPLER_QUALITY, ctypes.byref(failure))
    if failure.value:
        raise WireError(f"resampling from {rate} samples/s failed: error {failure.value}")
    try:
        library.speex_resampler_skip_zeros(state)
        room = len(samples) // SAMPLE_BYTES * target // rate
        # The filter looks ahead: append silence to get the last samples out.
        samples += bytes(library.speex_resampler_get_input_latency(state) * SAMPLE_BYTES)
        taken, given = ctypes.c_uint32(len(samples) // SAMPLE_BYTES), ctypes.c_uint32(room)
        out = (ctypes.c_int16 * room)()
        library.speex_resampler_process_int(
            state, 0, samples, ctypes.byref(taken), out, ctypes.byref(given)
        )
        return bytes(memoryview(out).cast("B")[: given.value * SAMPLE_BYTES])
    finally:
        library.speex_resampler_destroy(state)


@cache
def _speexdsp(rate: int) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libspeexdsp.so.1")
    except OSError as error:
        raise WireError(
            f"WAV rate: got {rate}, expected 8000 or 16000"
            " (other rates need Debian's package libspeexdsp1)"
        ) from error
    library.speex_resampler_init.restype = ctypes.c_void_p
    library.speex_resampler_init.argtypes = [ctypes.c_uint32] * 3 + [ctypes.c_int, ctypes.c_void_p]
    library.speex_resampler_process_int.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p,
        ctypes.c_void_p,
    ]  # fmt: skip
    for function in (
        library.speex_resampler_skip_zeros,
        library.speex_resampler_get_input_latency,
        library.speex_resampler_destroy,
    ):
        function.argtypes = [ctypes.c_void_p]
    return library
