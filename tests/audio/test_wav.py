"""WAV files to samples (audio.wav, audio.wav_chunks, audio.wav_samples): what is taken, and the errors for the rest."""

from __future__ import annotations

import array
import contextlib
import io
import math
import struct
import warnings
import wave
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.errors import AudioError
from audio.pcm import Pcm
from audio.wav import read_wav, render_wav
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


GUID = bytes.fromhex("000000001000800000aa00389b71")


def chunk(kind: bytes, body: bytes, *, size: int | None = None) -> bytes:
    head = kind + struct.pack("<I", len(body) if size is None else size)
    return head + body + bytes(len(body) % 2)


def form(
    tag: int,
    bits: int,
    *,
    channels: int = 1,
    rate: int = 8000,
    extensible: bool = False,
    width: int = 0,
) -> bytes:
    width = width or (bits + 7) // 8
    head = struct.pack(
        "<HHIIHH", 0xFFFE if extensible else tag, channels, rate, rate * channels * width,
        channels * width, 8 * width if extensible else bits,
    )  # fmt: skip
    if extensible:
        head += struct.pack("<HHIH", 22, bits, 0, tag) + GUID
    return chunk(b"fmt ", head)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


GOOD = make_wav(b"\1\0" * 800)
VALUES = [0, 256, -256, 12800, -12800, 32512, -32768]


def as_bits(value: int, bits: int) -> bytes:
    if bits == 8:
        return bytes([(value >> 8) + 128])
    return (value << (bits - 16)).to_bytes(bits // 8, "little", signed=True)


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_pcm_of_every_width_is_converted(bits: int, *, extensible: bool) -> None:
    data = b"".join(as_bits(value, bits) for value in VALUES)
    sound = read_wav(riff(form(1, bits, extensible=extensible), chunk(b"data", data)))
    assert array.array("h", sound.samples).tolist() == VALUES


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize(("bits", "kind"), [(32, "f"), (64, "d")])
def test_float_is_converted_and_clipped(bits: int, kind: str, *, extensible: bool) -> None:
    values = [0.0, 0.5, -0.5, 1.0, -1.0, 7.0, -7.0, math.inf, -math.inf, math.nan]
    data = struct.pack(f"<{len(values)}{kind}", *values)
    sound = read_wav(riff(form(3, bits, extensible=extensible), chunk(b"data", data)))
    assert array.array("h", sound.samples).tolist() == [
        0, 16384, -16384, 32767, -32767, 32767, -32767, 32767, -32767, 0
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "codes", "values"),
    [
        (6, [0xD5, 0x55, 0xAA, 0x2A], [8, -8, 32256, -32256]),
        (7, [0xFF, 0x7F, 0x80, 0x00, 0x8F, 0xEF], [0, 0, 32124, -32124, 16764, 132]),
    ],
)
def test_telephone_formats_are_converted(tag: int, codes: list[int], values: list[int]) -> None:
    """A few of the values of ITU-T G.711's tables."""
    sound = read_wav(riff(form(tag, 8), chunk(b"data", bytes(codes))))
    assert array.array("h", sound.samples).tolist() == values


@pytest.mark.parametrize("law", ["alaw2lin", "ulaw2lin"])
def test_telephone_formats_are_those_of_the_standard_library(law: str) -> None:
    """Python had them until 3.12."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        audioop = pytest.importorskip("audioop", reason="Python has it no more")
    codes = bytes(range(256))
    sound = read_wav(riff(form(6 if law == "alaw2lin" else 7, 8), chunk(b"data", codes)))
    assert sound.samples == getattr(audioop, law)(codes, 2)


@pytest.mark.parametrize(("bits", "width"), [(20, 3), (24, 4), (12, 2)])
def test_samples_with_fewer_bits_than_their_bytes(bits: int, width: int) -> None:
    data = b"".join(as_bits(value, 8 * width) for value in VALUES)
    for extensible in (False, True):
        head = form(1, bits, width=width, extensible=extensible)
        sound = read_wav(riff(head, chunk(b"data", data)))
        assert array.array("h", sound.samples).tolist() == VALUES


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
@pytest.mark.parametrize(("tag", "bits"), [(1, 24), (3, 32), (7, 8)])
def test_channels_of_other_formats_are_mixed_too(tag: int, bits: int, channels: int) -> None:
    data = bytes(bits // 8 * channels * 50)
    sound = read_wav(riff(form(tag, bits, channels=channels), chunk(b"data", data)))
    assert sound.seconds == pytest.approx(50 / 8000)


@pytest.mark.parametrize("padded", [True, False])
def test_other_chunks_may_stand_before_the_sound(*, padded: bool) -> None:
    odd = b"LIST" + struct.pack("<I", 5) + b"INFO!" + bytes(padded)
    data = riff(chunk(b"JUNK", bytes(28)), odd, GOOD[12:36], chunk(b"fact", bytes(4)), GOOD[36:])
    assert read_wav(data + chunk(b"LIST", b"INFO")).samples == b"\1\0" * 800


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "not a WAV file: it is cut short"),
        (b"ID3\4 this is an mp3", "not a WAV file: it does not begin with RIFF"),
        (b"RIFX" + GOOD[4:], r"not a WAV file: it is RIFX \(big-endian WAV\)"),
        (b"RF64" + GOOD[4:], "not a WAV file: it is RF64"),
        (b"BW64" + GOOD[4:], "not a WAV file: it is BW64"),
        (bytes.fromhex("726966662e91cf11a5d628db04c10000"), "not a WAV file: it is Sony Wave64"),
        (b"FORM" + GOOD[4:], "not a WAV file: it is AIFF"),
        (GOOD[:8] + b"AVI " + GOOD[12:], "its RIFF is b'AVI ', not WAVE"),
        (riff(form(2, 4), chunk(b"data", bytes(80))), "WAV format: got MS ADPCM, expected PCM of"),
        (riff(form(17, 4), chunk(b"data", bytes(80))), "WAV format: got IMA ADPCM, expected PCM"),
        (riff(form(0x55, 0), chunk(b"data", bytes(80))), "WAV format: got MP3, expected PCM of"),
        (riff(form(999, 16), chunk(b"data", bytes(80))), "WAV format: got format 999, expected"),
        (riff(form(1, 64), chunk(b"data", bytes(80))), "WAV format: got 64 bit, expected PCM of"),
        (riff(form(3, 16), chunk(b"data", bytes(80))), "WAV format: got 16 bit, expected PCM of"),
        (riff(form(1, 0), chunk(b"data", bytes(80))), "WAV format: got 0 bit, expected PCM of"),
        (riff(form(1, 16, extensible=True)[:-2] + b"xx", chunk(b"data", bytes(80))), "subformat"),
        (riff(form(0xFFFE, 16), chunk(b"data", bytes(80))), "extensible fmt chunk is cut short"),
        (make_wav(b"\1\0" * 9, channels=9), "WAV channels: got 9, expected 1 to 8"),
        (riff(form(1, 16, channels=0), chunk(b"data", bytes(8))), "WAV channels: got 0, expected"),
        (make_wav(b"\1\0" * 9, rate=3999), "WAV rate: got 3999, expected 4000 to 192000"),
        (make_wav(b"\1\0" * 9, rate=200000), "WAV rate: got 200000, expected 4000 to"),
        (make_wav(b""), "WAV length: got 0, expected at least one sample"),
        (riff(form(1, 16), chunk(b"data", b""), chunk(b"LIST", b"INFO")), "WAV length: got 0"),
        (riff(form(1, 16), chunk(b"data", b"x")), "WAV length: got 0, expected at least one"),
        (GOOD[:20], "not a WAV file: its chunk b'fmt ' is cut short"),
        (riff(chunk(b"fmt ", bytes(14)), chunk(b"data", bytes(8))), "its fmt chunk is cut short"),
        (riff(GOOD[12:36], chunk(b"LIST", b"", size=9**9)), "its chunk b'LIST' is cut short"),
        (GOOD[:44], "WAV data: got 0, expected the 1600 bytes that its header promises"),
        (GOOD[:-1], "WAV data: got 1599, expected the 1600 bytes that its header promises"),
        (GOOD[:12], "not a WAV file: it has no fmt chunk"),
        (GOOD[:36], "not a WAV file: it has no data chunk"),
        (riff(GOOD[36:], GOOD[12:36]), "it has no fmt chunk before its data"),
    ],
)
def test_what_is_not_taken_is_refused_by_name(data: bytes, expected: str) -> None:
    with pytest.raises(AudioError, match=expected):
        read_wav(data)


@pytest.mark.parametrize("promised", [0, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x7FFF_F000])
def test_a_recorders_pipe_does_not_know_its_length(promised: int) -> None:
    head = GOOD[:4] + struct.pack("<I", 0xFFFF_FFFF) + GOOD[8:40] + struct.pack("<I", promised)
    assert read_wav(head + GOOD[44:]).samples == b"\1\0" * 800


KINDS = [
    riff(form(tag, bits, channels=2, extensible=extensible), chunk(b"LIST", b"INFO!"),
         chunk(b"data", bytes(range(1, 97))))
    for tag, bits in ((1, 8), (1, 16), (1, 24), (3, 32), (3, 64), (6, 8))
    for extensible in (False, True)
]  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_damage_is_always_an_audio_error_or_a_sound(data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from([GOOD[:100], *KINDS])))
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        sound = read_wav(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    except AudioError:
        return
    assert sound.samples
    assert sound.rate in {8000, 16000}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_an_audio_error_or_a_sound(data: bytes) -> None:
    for file in (
        data,
        riff(data),
        riff(form(1, 16), data),
        riff(form(1, 16), chunk(b"data", data)),
    ):
        with contextlib.suppress(AudioError):
            assert read_wav(file).samples


@given(st.binary(min_size=1, max_size=50), st.sampled_from([8000, 16000]))
def test_what_is_written_is_read(frames: bytes, rate: int) -> None:
    sound = Pcm(rate, frames * 2)
    written = render_wav(sound)
    assert read_wav(written) == sound
    with wave.open(io.BytesIO(written)) as read:  # and by others
        assert (read.getframerate(), read.readframes(100)) == (rate, frames * 2)
