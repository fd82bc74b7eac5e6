"""Speex by libspeex: the document's real speech, our own frames, and invalid input."""

from __future__ import annotations

import array
import base64
import ctypes
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

from audio import speex
from audio.errors import SpeexDecodeError, SpeexUnavailableError
from audio.pcm import SPEEX_RATES
from audio.speex import (
    SpeexDecoder,
    SpeexEncoder,
    frame_samples,
)
from wire.voice import FRAME_SECONDS, RATES, unpack_frames


def tone(rate: int, frames: int) -> list[bytes]:
    """Make 20 ms frames of a 440 Hz tone."""
    count = frame_samples(rate)
    return [
        array.array(
            "h",
            (
                int(8000 * math.sin(2 * math.pi * 440 * (n * count + i) / rate))
                for i in range(count)
            ),
        ).tobytes()
        for n in range(frames)
    ]


def energy(samples: bytes) -> float:
    values = array.array("h", samples)
    return sum(v * v for v in values) / max(1, len(values))


def test_the_documents_segments_decode_to_300_ms_of_speech(
    document_segments: dict[str, Any],
) -> None:
    for entry in document_segments["segments"]:
        frames = unpack_frames(base64.b64decode(entry["voice_data"]))
        with SpeexDecoder(8000) as decoder:
            decoded = b"".join(map(decoder.decode, frames))
        assert len(decoded) / 2 / 8000 == pytest.approx(0.300)
        assert energy(decoded) > 0


def test_the_documents_speech_encoded_again_has_the_documents_frames(
    document_segments: dict[str, Any],
) -> None:
    for entry in document_segments["segments"]:
        frames = unpack_frames(base64.b64decode(entry["voice_data"]))
        with SpeexDecoder(8000) as first, SpeexEncoder(8000, quality=8) as encoder:
            speech = [first.decode(frame) for frame in frames]
            again = [encoder.encode(samples) for samples in speech]
        assert [len(frame) for frame in again] == [38] * 15
        with SpeexDecoder(8000) as second:
            heard = b"".join(map(second.decode, again))
        assert energy(heard) == pytest.approx(energy(b"".join(speech)), rel=0.5)


@pytest.mark.parametrize(("rate", "quality", "size"), [(8000, 8, 38), (16000, 8, 70)])
def test_a_tone_survives(rate: int, quality: int, size: int) -> None:
    sent = tone(rate, 25)
    with SpeexEncoder(rate, quality) as encoder, SpeexDecoder(rate) as decoder:
        frames = [encoder.encode(samples) for samples in sent]
        heard = b"".join(map(decoder.decode, frames))
    assert {len(frame) for frame in frames} == {size}
    assert len(heard) == len(b"".join(sent))
    assert energy(heard) == pytest.approx(energy(b"".join(sent)), rel=0.5)


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("quality", range(11))
def test_every_quality_decodes(rate: int, quality: int) -> None:
    with SpeexEncoder(rate, quality) as encoder, SpeexDecoder(rate) as decoder:
        for samples in tone(rate, 3):
            assert len(decoder.decode(encoder.encode(samples))) == len(samples)


# Bytes of a frame at each quality, by the bit rates of the Speex manual's tables (a frame has 20 ms).
SIZES = {
    8000: (6, 10, 15, 20, 20, 28, 28, 38, 38, 46, 62),
    16000: (10, 15, 20, 25, 32, 42, 52, 60, 70, 86, 106),
}


@pytest.mark.parametrize("rate", SIZES)
def test_each_quality_has_the_manuals_bit_rate(rate: int) -> None:
    for quality, size in enumerate(SIZES[rate]):
        with SpeexEncoder(rate, quality) as encoder:
            assert {len(encoder.encode(samples)) for samples in tone(rate, 3)} == {size}, quality


def test_more_complexity_is_another_search_and_no_complaint(
    capfd: pytest.CaptureFixture[str],
) -> None:
    made = []
    for complexity in (1, 10):
        with SpeexEncoder(8000, complexity=complexity) as encoder:
            made.append([encoder.encode(samples) for samples in tone(8000, 10)])
    assert made[0] != made[1]
    assert capfd.readouterr() == ("", "")


def test_the_callers_samples_are_left_as_they_were() -> None:
    samples = tone(8000, 1)[0]
    copy = bytes(bytearray(samples))
    with SpeexEncoder(8000) as encoder:
        encoder.encode(samples)
    assert samples == copy


@pytest.mark.parametrize("length", [0, 1, 318, 322, 640])
def test_samples_of_another_length_are_refused(length: int) -> None:
    with SpeexEncoder(8000) as encoder, pytest.raises(ValueError, match=f"got {length} bytes"):
        encoder.encode(bytes(length))


@pytest.mark.parametrize("rate", [0, 11025, 32000, 44100])
def test_another_rate_is_refused(rate: int) -> None:
    for make in (SpeexEncoder, SpeexDecoder):
        with pytest.raises(ValueError, match=f"rate: got {rate}"):
            make(rate)


@pytest.mark.parametrize("quality", [-1, 11])
def test_another_quality_is_refused(quality: int) -> None:
    with pytest.raises(ValueError, match=f"quality: got {quality}"):
        SpeexEncoder(8000, quality)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_frame_cut_short_is_corrupt(rate: int) -> None:
    with SpeexEncoder(rate) as encoder:
        frame = encoder.encode(tone(rate, 1)[0])
    for length in (0, 1, len(frame) // 2):
        with SpeexDecoder(rate) as decoder, pytest.raises(SpeexDecodeError, match=f"{length} byte"):
            decoder.decode(frame[:length])


def test_a_terminator_is_no_speech() -> None:
    with SpeexDecoder(8000) as decoder, pytest.raises(SpeexDecodeError):
        decoder.decode(b"\x7f" * 38)  # mode 15 (speex manual, "in-band terminator")


@pytest.mark.parametrize("rate", [8000, 16000])
def test_noise_decodes_to_a_frame_or_is_corrupt(
    rate: int, capfd: pytest.CaptureFixture[str]
) -> None:
    source = random.Random(7)
    taken = refused = 0
    for _ in range(2000):
        noise = source.randbytes(source.randint(0, 1024))
        with SpeexDecoder(rate) as decoder:
            try:
                assert len(decoder.decode(noise)) == frame_samples(rate) * 2
                taken += 1
            except SpeexDecodeError:
                refused += 1
    assert taken
    assert refused
    assert capfd.readouterr() == ("", "")  # libspeex writes there past every log


def test_a_decoder_goes_on_after_a_corrupt_frame() -> None:
    with SpeexEncoder(8000) as encoder, SpeexDecoder(8000) as decoder:
        with pytest.raises(SpeexDecodeError):
            decoder.decode(b"")
        assert len(decoder.decode(encoder.encode(tone(8000, 1)[0]))) == 320


def test_closing_twice_is_closing_once() -> None:
    decoder = SpeexDecoder(8000)
    decoder.close()
    decoder.close()


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without libspeex1."""

    def missing(name: str) -> ctypes.CDLL:
        raise OSError(f"{name}: cannot open shared object file")

    speex._library.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", missing)
    yield
    speex._library.cache_clear()


@pytest.mark.usefixtures("no_library")
def test_a_missing_library_is_named_with_its_package() -> None:
    for make in (SpeexEncoder, SpeexDecoder):
        with pytest.raises(SpeexUnavailableError, match="install Debian's package libspeex1"):
            make(8000)


def test_the_codec_and_the_wire_have_the_same_rates_and_frames() -> None:
    assert (SPEEX_RATES, speex.FRAME_SECONDS) == (RATES, FRAME_SECONDS)
