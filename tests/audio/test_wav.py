"""WAV files to samples: the supported formats, and the errors for the others."""

from __future__ import annotations

import array
import io
import struct
import wave
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.errors import AudioError
from audio.wav import read_wav
from tests.audio.levels import power_at
from tests.conftest import write_tone


def make_wav(frames: bytes, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(frames)
    return out.getvalue()


def tone(tmp_path: Path, **kind: float) -> bytes:
    return write_tone(tmp_path / "tone.wav", **kind).read_bytes()  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("rate", "target"),
    [(8000, 8000), (16000, 16000), (11025, 8000), (22050, 16000), (44100, 16000), (48000, 16000),
     (96000, 16000), (4000, 8000)],
)  # fmt: skip
def test_a_tone_keeps_its_pitch_length_and_loudness(
    tmp_path: Path, rate: int, target: int, channels: int
) -> None:
    sound = read_wav(tone(tmp_path, seconds=0.5, rate=rate, channels=channels))
    assert sound.rate == target
    assert sound.seconds == pytest.approx(0.5, abs=0.0002)
    samples = array.array("h", sound.samples)
    assert power_at(samples, target, 440) > 0.98
    assert power_at(samples, target, 470) < 0.02
    assert 11000 < max(samples[100:-100]) < 13000


def test_channels_are_mixed_not_chosen() -> None:
    frames = struct.pack("<hhhh", 1000, 3000, -2000, 2000)
    assert array.array("h", read_wav(make_wav(frames, channels=2)).samples).tolist() == [2000, 0]


def float_wav() -> bytes:
    data = struct.pack("<100f", *[0.5] * 100)
    form = struct.pack("<HHIIHH", 3, 1, 8000, 32000, 4, 32)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


GOOD = make_wav(b"\1\0" * 800)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "not a WAV file with PCM samples: it is cut short"),
        (b"ID3\4 this is an mp3", "not a WAV file with PCM samples: file does not start with RIFF"),
        (float_wav(), "not a WAV file with PCM samples: unknown format: 3"),
        (make_wav(b"\x80" * 800, width=1), "WAV sample width: got 8, expected 16 bit"),
        (make_wav(b"\1\0\0" * 800, width=3), "WAV sample width: got 24, expected 16 bit"),
        (make_wav(b"\1\0\0\0" * 800, width=4), "WAV sample width: got 32, expected 16 bit"),
        (make_wav(b"\1\0" * 9, channels=9), "WAV channels: got 9, expected 1 to 8"),
        (make_wav(b"\1\0" * 9, rate=3999), "WAV rate: got 3999, expected 4000 to 192000"),
        (make_wav(b"\1\0" * 9, rate=200000), "WAV rate: got 200000, expected 4000 to"),
        (make_wav(b""), "WAV length: got 0, expected at least one sample"),
        (GOOD[:20], "not a WAV file with PCM samples: it is cut short"),
        (GOOD[:44], "WAV data: got 0, expected the 1600 bytes that its header promises"),
        (GOOD[:-1], "WAV data: got 1599, expected the 1600 bytes that its header promises"),
        (GOOD[:12], "not a WAV file with PCM samples: fmt chunk and/or data chunk missing"),
    ],
)
def test_what_is_not_pcm_of_16_bit_is_refused_by_name(data: bytes, expected: str) -> None:
    with pytest.raises(AudioError, match=expected):
        read_wav(data)


@pytest.mark.parametrize("promised", [0x7FFF_FFFF, 0xFFFF_FFFF, 0x7FFF_F000])
def test_a_recorders_pipe_does_not_know_its_length(promised: int) -> None:
    head = GOOD[:4] + struct.pack("<I", 0xFFFF_FFFF) + GOOD[8:40] + struct.pack("<I", promised)
    assert read_wav(head + GOOD[44:]).samples == b"\1\0" * 800


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_always_an_audio_error_or_a_sound(data: st.DataObject) -> None:
    damaged = bytearray(GOOD[:100])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, 99))] = data.draw(st.integers(0, 255))
    try:
        sound = read_wav(bytes(damaged[: data.draw(st.integers(0, 100))]))
    except AudioError:
        return
    assert sound.samples
    assert sound.rate in {8000, 16000}
