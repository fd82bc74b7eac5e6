"""The spectrum that Whisper sees, and a child's voice brought down."""

from __future__ import annotations

from typing import Any

import pytest

from staging.recognition.spectrum import FRAMES_PER_SECOND, HOP, RATE, log_mel, powers, warped

numpy = pytest.importorskip("numpy", reason="numpy is missing: pip install . './cloud[asr]'")


def tone(hertz: float) -> Any:
    return numpy.sin(2 * numpy.pi * hertz * numpy.arange(RATE) / RATE)


def loudest_hertz(power: Any) -> float:
    return float(numpy.argmax(power.mean(axis=1)) * RATE / 400)


def test_a_second_has_as_many_spectra_as_the_model_expects() -> None:
    assert powers(tone(400)).shape == (201, FRAMES_PER_SECOND + 1)
    assert HOP * FRAMES_PER_SECOND == RATE


@pytest.mark.parametrize("factor", [1.0, 1.25, 1.5])
def test_a_warped_spectrum_is_lower_by_the_factor_and_as_long(factor: float) -> None:
    before = powers(tone(1500))
    after = warped(before, factor)
    assert after.shape == before.shape
    assert loudest_hertz(after) == pytest.approx(1500 / factor, abs=RATE / 400)


def test_above_the_highest_frequency_there_is_nothing() -> None:
    noise = numpy.random.default_rng(1).normal(size=RATE)
    lowered = warped(powers(noise), 1.25)
    assert not lowered[162:].any()
    assert lowered[:160].all()


def test_the_input_is_as_wide_as_wanted_and_nothing_follows_the_sound() -> None:
    ready = log_mel(powers(tone(400)), numpy.ones((80, 201), "float32"), 150)
    assert ready.shape == (80, 150)
    assert ready.dtype == "float32"
    assert not ready[:, FRAMES_PER_SECOND + 1 :].any()
    assert log_mel(powers(tone(400)), numpy.ones((80, 201), "float32"), 50).shape == (80, 50)


def test_silence_is_no_error() -> None:
    assert numpy.isfinite(log_mel(powers(numpy.zeros(RATE)), numpy.ones((80, 201)), 200)).all()


def test_the_numbers_are_those_that_whisper_was_trained_with() -> None:
    """Powers of ten, none more than 8 below the loudest, plus 4, over 4: OpenAI's `log_mel_spectrogram`."""
    power = numpy.array([[1e4, 1.0, 1e-3, 1e-9]])
    ready = log_mel(power, numpy.ones((1, 1)), 4)
    assert ready[0].tolist() == pytest.approx([2.0, 1.0, 0.25, 0.0], abs=1e-6)
