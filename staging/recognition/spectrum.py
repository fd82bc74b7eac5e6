"""What Whisper sees of a sound: its mel spectrum, of the voice as it is or brought down to an adult's.

A child's throat is shorter than those that Whisper has mostly heard: all of its voice lies higher. A warped spectrum
reads each band at a higher frequency, which brings pitch and formants down together and leaves the time as it is
(vocal tract length normalisation).
"""

from __future__ import annotations

from typing import Any

RATE = 16000
# Samples of a spectrum, and between two: 25 and 10 ms, as Whisper was trained.
SIZE, HOP = 400, 160
FRAMES_PER_SECOND = RATE // HOP
# Of the loudest part, in powers of ten: what is softer is floor. And what Whisper's numbers are shifted and divided by.
RANGE, SHIFT = 8.0, 4.0
_TINY = 1e-10


def powers(samples: Any) -> Any:
    """Return the power spectra of samples (floats, 16 kHz): frequencies by times of 10 ms."""
    import numpy  # noqa: PLC0415, ICN001  # of the extra

    half = SIZE // 2
    # As the model's own tools do: a frame more of silence, and the ends mirrored.
    padded = numpy.pad(numpy.pad(samples.astype("float32"), (0, HOP)), half, mode="reflect")
    count = 1 + (len(padded) - SIZE) // HOP
    places = numpy.arange(SIZE)[None] + HOP * numpy.arange(count)[:, None]
    window: Any = numpy.hanning(SIZE + 1)[:-1].astype("float32")
    spectra = numpy.fft.rfft(padded[places] * window).T[:, :-1]
    return (numpy.abs(spectra) ** 2).astype("float32")


def warped(power: Any, factor: float) -> Any:
    """Return spectra whose every frequency is read ``factor`` times as high; above the highest there is nothing."""
    import numpy  # noqa: PLC0415, ICN001  # of the extra

    last = len(power) - 1
    at = numpy.arange(last + 1) * factor
    below = numpy.minimum(at.astype("int64"), last - 1)
    share = numpy.clip(at - below, 0, 1)[:, None]
    read = power[below] * (1 - share) + power[below + 1] * share
    return (read * (at <= last)[:, None]).astype("float32")


def log_mel(power: Any, filters: Any, frames: int) -> Any:
    """Return the model's input: bands by ``frames``, with nothing after the sound's end."""
    import numpy  # noqa: PLC0415, ICN001  # of the extra

    logs = numpy.log10(numpy.maximum(filters @ power, _TINY))
    ready = (numpy.maximum(logs, logs.max() - RANGE) + SHIFT) / SHIFT
    ready = ready[:, :frames]
    return numpy.pad(ready, ((0, 0), (0, frames - ready.shape[1]))).astype("float32")
