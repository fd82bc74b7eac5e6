"""Takes steady noise out of speech: what the quietest quarter of the sound has, every other part loses.

A Wiener filter of short spectra. Whisper hears the cleaned sound beside the sound as it is, since cleaning costs
some of the speech too: scores are the mean of both (docs/adr/0036).
"""

from __future__ import annotations

from typing import Any

# Samples at 16 kHz: 25 ms of a spectrum, four of them over each sample.
SIZE, HOP = 400, 100
# Of the spectra, the quietest, whose mean is the noise; at least so many.
QUIET_SHARE, QUIET_MIN = 0.25, 8
# Noise that is taken away is counted so many times, since the mean is often exceeded; this share stays in any case.
OVER, FLOOR = 1.5, 0.05
# Spectra over which the power is averaged: single ones would warble.
SMOOTH = 5
_TINY = 1e-12


def cleaned(samples: Any) -> Any:
    """Return samples (a numpy array of floats, 16 kHz, -1 to 1) without their steady noise; the length stays."""
    import numpy  # noqa: PLC0415, ICN001  # of the extra

    if len(samples) < SIZE * 2:
        return samples
    window = numpy.hanning(SIZE + 1)[:-1]
    padded = numpy.pad(samples, SIZE)
    starts: Any = HOP * numpy.arange(1 + (len(padded) - SIZE) // HOP)
    places = numpy.arange(SIZE)[None] + starts[:, None]
    spectra = numpy.fft.rfft(padded[places] * window)
    gain = _gain(numpy, numpy.abs(spectra) ** 2)
    parts = numpy.fft.irfft(spectra * gain, SIZE) * window
    made, weight = numpy.zeros(len(padded)), numpy.zeros(len(padded))
    numpy.add.at(made, places, parts)
    numpy.add.at(weight, places, numpy.broadcast_to(window**2, parts.shape))
    return (made / numpy.maximum(weight, _TINY))[SIZE:-SIZE]


def _gain(numpy: Any, power: Any) -> Any:
    """Return the factor of each part of each spectrum."""
    loudness = power.sum(axis=1)
    # Exact zeros are what a codec puts in the place of a lost segment: no noise can be learned from them.
    sounding = int((loudness > _TINY).sum())
    count = max(QUIET_MIN, round(sounding * QUIET_SHARE))
    quietest = numpy.argsort(numpy.where(loudness > _TINY, loudness, numpy.inf))[:count]
    noise = power[quietest].mean(axis=0)
    width = numpy.ones(SMOOTH) / SMOOTH
    smooth = numpy.apply_along_axis(lambda part: numpy.convolve(part, width, "same"), 0, power)
    return numpy.sqrt(numpy.maximum(1 - OVER * noise / numpy.maximum(smooth, _TINY), FLOOR))
