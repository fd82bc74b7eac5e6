"""Sample rates: a tone keeps its pitch, its length and its loudness."""

from __future__ import annotations

import array
import ctypes
import math
from collections.abc import Iterator

import pytest

from audio import resample as module
from audio.errors import AudioError
from audio.resample import Resampler, resample
from tests.audio.levels import power_at

HERTZ = 440


def tone(rate: int, count: int) -> bytes:
    return array.array(
        "h", (int(12000 * math.sin(2 * math.pi * HERTZ * n / rate)) for n in range(count))
    ).tobytes()


@pytest.fixture
def anew() -> Iterator[None]:
    """Load the library again, which is done once a process."""
    module._speexdsp.cache_clear()
    yield
    module._speexdsp.cache_clear()


@pytest.mark.parametrize(("rate", "target"), [(48000, 16000), (22050, 8000), (4000, 8000)])
def test_a_tone_stays_the_tone(rate: int, target: int) -> None:
    samples = array.array("h", resample(tone(rate, rate // 2), rate, target))
    assert len(samples) == target // 2
    assert power_at(samples, target, HERTZ) > 0.98
    assert 11000 < max(samples[100:-100]) < 13000


def test_nothing_stays_nothing() -> None:
    assert resample(b"", 48000, 8000) == b""


def test_a_rate_that_the_library_refuses_is_named() -> None:
    with pytest.raises(AudioError, match=r"resampling from 0 samples/s failed: error \d+"):
        resample(b"", 0, 8000)


@pytest.mark.usefixtures("anew")
def test_without_the_library_the_error_says_which_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_name: str) -> ctypes.CDLL:
        raise OSError("cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", fail)
    with pytest.raises(AudioError, match=r"WAV rate: got 44100, .*libspeexdsp1"):
        resample(b"\0\0", 44100, 8000)


@pytest.mark.parametrize(("rate", "target"), [(16000, 8000), (48000, 16000), (44100, 16000)])
def test_a_stream_converted_in_pieces_is_the_whole_converted(rate: int, target: int) -> None:
    whole = tone(rate, rate)
    piece = rate // 50 * 2
    resampler = Resampler(rate, target)
    streamed = b"".join(
        resampler.convert(whole[at : at + piece]) for at in range(0, len(whole), piece)
    )
    expected = resample(whole, rate, target)
    assert 0 <= len(expected) - len(streamed) < target // 50 * 2  # what the filter holds back
    assert streamed == expected[: len(streamed)]


def test_a_stream_of_a_rate_that_the_library_refuses_is_named() -> None:
    with pytest.raises(AudioError, match=r"resampling from 0 samples/s failed: error \d+"):
        Resampler(0, 8000)
