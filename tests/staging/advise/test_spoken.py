"""What an utterance sounds like is measured, also where it is silent, cut off at full scale, or nothing at all."""

from __future__ import annotations

import math
from array import array

import pytest

from audio.errors import SpeexDecodeError
from staging.advise.spoken import NOTHING, decode, fault_of, measure
from tests.staging.advise.twin_voice import frames
from wire.voice import HeaderStyle, pack_frame

RATE = 8000


def tone(gain: float, seconds: float) -> bytes:
    wave = (math.sin(2 * math.pi * 200 * at / RATE) for at in range(round(seconds * RATE)))
    return array(
        "h", (max(-32768, min(32767, round(gain * 32767 * each))) for each in wave)
    ).tobytes()


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE))


@pytest.mark.parametrize(("gain", "level"), [(1.0, -3.0), (0.1, -23.0), (0.001, -63.0)])
def test_loudness_is_of_what_is_spoken(gain: float, level: float) -> None:
    found = measure(RATE, silence(0.5) + tone(gain, 1.0) + silence(1.5))
    assert found.loudness == pytest.approx(level, abs=0.5)
    assert (found.seconds, found.lead, found.tail) == pytest.approx((3.0, 0.5, 1.5), abs=0.021)


@pytest.mark.parametrize(("decibels", "less"), [(-19, 3.0), (-21, 0.0)])
def test_what_is_twenty_decibels_below_the_loudest_is_no_speech(decibels: int, less: float) -> None:
    """A second as loud as that counts as half of what is spoken, or not at all."""
    alone = measure(RATE, tone(0.9, 1.0)).loudness
    both = measure(RATE, tone(0.9, 1.0) + tone(0.9 * 10 ** (decibels / 20), 1.0)).loudness
    assert alone - both == pytest.approx(less, abs=0.1)


@pytest.mark.parametrize(("decibels", "tail"), [(-29, 0.0), (-31, 0.5)])
def test_what_is_thirty_decibels_below_the_loudest_is_silence(decibels: int, tail: float) -> None:
    found = measure(RATE, tone(0.9, 1.0) + tone(0.9 * 10 ** (decibels / 20), 0.5))
    assert found.tail == pytest.approx(tail, abs=0.021)


def test_what_is_cut_off_is_counted() -> None:
    assert measure(RATE, tone(0.9, 1.0)).clipped == 0.0
    assert measure(RATE, tone(4.0, 1.0)).clipped > 0.5


@pytest.mark.parametrize("samples", [b"", silence(0.01), silence(1.0)])
def test_nothing_is_no_sound(samples: bytes) -> None:
    found = measure(RATE, samples)
    assert (found.loudness, found.clipped, found.tail) == (NOTHING, 0.0, 0.0)
    assert found.lead == pytest.approx(len(samples) // 320 * 0.02)


def test_a_frame_that_cannot_be_decoded_is_named() -> None:
    whole = frames("")
    for style in HeaderStyle:
        data = b"".join(pack_frame(frame, style, RATE) for frame in whole)
        assert len(decode(RATE, (data,))) == 320 * len(whole)
    cut = pack_frame(whole[20][:20], HeaderStyle.LENGTH32, RATE)
    assert "libspeex cannot decode a frame of 20 bytes" in fault_of(RATE, (cut,))
    assert "of 4 bytes" in fault_of(RATE, (b"\1\0",))
    with pytest.raises(SpeexDecodeError):
        decode(RATE, (cut,))
