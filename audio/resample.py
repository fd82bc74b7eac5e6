"""Sample rate conversion by libspeexdsp (Debian's libspeexdsp1) through ctypes."""

from __future__ import annotations

import ctypes
from functools import cache

from audio.errors import AudioError
from audio.pcm import SAMPLE_BYTES

# libspeexdsp: 3 is "VoIP" quality; it takes 1 % of a Pi's core.
RESAMPLER_QUALITY = 3


def resample(samples: bytes, rate: int, target: int) -> bytes:
    """Convert mono samples from ``rate`` to ``target`` samples/s with libspeexdsp.

    Raises:
        AudioError: libspeexdsp is not installed, or cannot convert this rate.
    """
    library = _speexdsp(rate)
    failure = ctypes.c_int()
    state = library.speex_resampler_init(1, rate, target, RESAMPLER_QUALITY, ctypes.byref(failure))
    if failure.value:
        raise AudioError(f"resampling from {rate} samples/s failed: error {failure.value}")
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


class Resampler:
    """Converts a stream of mono samples piece by piece; its state joins the pieces without clicks."""

    def __init__(self, rate: int, target: int) -> None:
        """Convert from ``rate`` to ``target`` samples/s; raises AudioError as `resample` does."""
        self._library = _speexdsp(rate)
        self._rate, self._target = rate, target
        failure = ctypes.c_int()
        self._state: int | None = self._library.speex_resampler_init(
            1, rate, target, RESAMPLER_QUALITY, ctypes.byref(failure)
        )
        if failure.value:
            self._state = None
            raise AudioError(f"resampling from {rate} samples/s failed: error {failure.value}")
        self._library.speex_resampler_skip_zeros(self._state)

    def convert(self, samples: bytes) -> bytes:
        """Return what can be given so far; the filter holds back the last few milliseconds."""
        count = len(samples) // SAMPLE_BYTES
        room = count * self._target // self._rate + self._target // 100  # and a filter's rounding
        taken, given = ctypes.c_uint32(count), ctypes.c_uint32(room)
        out = (ctypes.c_int16 * room)()
        self._library.speex_resampler_process_int(
            self._state, 0, samples, ctypes.byref(taken), out, ctypes.byref(given)
        )
        return bytes(memoryview(out).cast("B")[: given.value * SAMPLE_BYTES])

    def __del__(self) -> None:
        if getattr(self, "_state", None) is not None:
            self._library.speex_resampler_destroy(self._state)
            self._state = None


@cache
def _speexdsp(rate: int) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libspeexdsp.so.1")
    except OSError as error:
        raise AudioError(
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
