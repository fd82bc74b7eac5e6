"""Steady noise goes, and speech stays; a sound that has none is as it was."""

from __future__ import annotations

import pytest

from staging.recognition.clean import SIZE, cleaned

numpy = pytest.importorskip("numpy", reason="numpy is missing: pip install . './cloud[asr]'")


@pytest.mark.parametrize("loudness", [0.3, 0.05])
def test_steady_noise_is_weaker_and_what_stands_out_stays(loudness: float) -> None:
    noise = numpy.random.default_rng(1).normal(0, 0.02, 32000)
    tone = numpy.sin(numpy.arange(8000) * 0.3) * loudness
    sound = noise.copy()
    sound[12000:20000] += tone
    clean = cleaned(sound)
    assert len(clean) == len(sound)
    assert numpy.std(clean[:8000]) < 0.5 * numpy.std(sound[:8000])
    assert numpy.std(clean[12000:20000]) > 0.9 * numpy.std(tone)


def test_a_twentieth_of_what_is_always_there_stays() -> None:
    hum = numpy.sin(numpy.arange(32000) * 0.3)
    inner = slice(4000, 28000)
    left = numpy.std(cleaned(hum)[inner]) / numpy.std(hum[inner])
    assert left**2 == pytest.approx(0.05, abs=0.001)


@pytest.mark.parametrize("length", [0, 1, SIZE, 2 * SIZE, 5001])
def test_the_length_stays_and_silence_is_silence(length: int) -> None:
    made = cleaned(numpy.zeros(length))
    assert len(made) == length
    assert not made.any()
