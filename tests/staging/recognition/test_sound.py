"""Utterances to samples."""

from __future__ import annotations

import pytest

from audio.errors import SpeexDecodeError
from audio.speex import SpeexEncoder
from audio.wav import render_wav
from staging.recognition.reassembly import (
    Utterance,
)
from staging.recognition.sound import decode


def encoded(rate: int, lost: int | None = None) -> Utterance:
    with SpeexEncoder(rate) as encoder:
        frame = encoder.encode(bytes(encoder.frame_bytes))
    whole = [(frame,) * 15, (frame,) * 15, (frame,) * 3]
    return Utterance(
        "01a800000072af", 1, rate, tuple(None if n == lost else p for n, p in enumerate(whole))
    )


@pytest.mark.parametrize("rate", [8000, 16000])
def test_decoding(rate: int) -> None:
    sound = decode(encoded(rate))
    assert sound.rate == rate
    assert sound.seconds == pytest.approx(0.66)
    assert render_wav(sound)[:4] == b"RIFF"


def test_a_lost_segment_is_silence_of_its_length() -> None:
    sound = decode(encoded(8000, lost=1))
    assert sound.seconds == pytest.approx(0.66)
    assert not any(sound.samples[15 * 320 : 30 * 320])


def test_a_corrupt_frame_is_said_so() -> None:
    with pytest.raises(SpeexDecodeError):
        decode(Utterance("01a800000072af", 1, 8000, ((b"",),)))
