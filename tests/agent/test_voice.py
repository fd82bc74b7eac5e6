"""WAV files to samples, and samples to the document's segments on a link that may be down."""

from __future__ import annotations

import array
import base64
import io
import json
import math
import struct
import wave
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.link import LinkDownError
from agent.settings import VoiceSettings
from agent.voice import Utterance, VoiceSender
from agent.wav import Sound, read_wav
from tests.conftest import write_tone
from wire.errors import WireError
from wire.speex import SpeexDecoder
from wire.voice import ID_FIRST, ID_LAST, HeaderStyle, parse_segment, unpack_frames

DOCUMENT = Path(__file__).parents[1] / "wire" / "document_segments.json"


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


def power_at(samples: array.array[int], rate: int, hertz: float) -> float:
    """Return how much of the sound's power is at one frequency (1.0: a pure sine; Goertzel's sum)."""
    turn = 2 * math.pi * hertz / rate
    real = sum(s * math.cos(turn * n) for n, s in enumerate(samples))
    imaginary = sum(s * math.sin(turn * n) for n, s in enumerate(samples))
    total = sum(s * s for s in samples)
    return 2 * (real * real + imaginary * imaginary) / (len(samples) * total)


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
    with pytest.raises(WireError, match=expected):
        read_wav(data)


@pytest.mark.parametrize("promised", [0x7FFF_FFFF, 0xFFFF_FFFF, 0x7FFF_F000])
def test_a_recorders_pipe_does_not_know_its_length(promised: int) -> None:
    head = GOOD[:4] + struct.pack("<I", 0xFFFF_FFFF) + GOOD[8:40] + struct.pack("<I", promised)
    assert read_wav(head + GOOD[44:]).samples == b"\1\0" * 800


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_always_a_wire_error_or_a_sound(data: st.DataObject) -> None:
    damaged = bytearray(GOOD[:100])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, 99))] = data.draw(st.integers(0, 255))
    try:
        sound = read_wav(bytes(damaged[: data.draw(st.integers(0, 100))]))
    except WireError:
        return
    assert sound.samples
    assert sound.rate in {8000, 16000}


class NotingLink:
    """Keeps the reports; breaks after ``good`` of them."""

    def __init__(self, good: int = 10**9) -> None:
        self.reports: list[dict[str, object]] = []
        self.good = good

    async def report(self, data: Mapping[str, object]) -> None:
        if len(self.reports) >= self.good:
            raise LinkDownError("the link to the cloud is down")
        self.reports.append(dict(data))


def sine(seconds: float, rate: int = 8000) -> Sound:
    samples = array.array(
        "h", (int(9000 * math.sin(2 * math.pi * 440 * n / rate)) for n in range(int(seconds * rate)))
    )  # fmt: skip
    return Sound(rate, samples.tobytes())


async def say(sound: Sound, **changes: object) -> tuple[Utterance, list[dict[str, object]]]:
    link = NotingLink()
    sent = await VoiceSender(link, VoiceSettings(**changes)).say(sound)  # type: ignore[arg-type]
    return sent, link.reports


async def test_segments_have_the_documents_shape() -> None:
    sent, reports = await say(sine(1.0))
    document = json.loads(DOCUMENT.read_text("utf-8"))["segments"][0]
    assert sent == Utterance(sent.id, 5, 1.0, cut=False)
    first = reports[0]["voice_control"]
    assert isinstance(first, dict)
    assert list(first) == ["id", "segment", "rate", "channel", "eof", "voice_data"]
    assert len(str(first["voice_data"])) == len(document["voice_data"]) == 840
    assert base64.b64decode(first["voice_data"])[:4] == b"\x26\0\0\0"
    assert reports[-1] == {
        "voice_control": {"id": sent.id, "segment": 4, "rate": 8000, "channel": 1, "eof": 1}
    }
    segments = [parse_segment(report["voice_control"]) for report in reports]
    assert [s.segment for s in segments] == [0, 1, 2, 3, 4]
    assert {s.id for s in segments} == {sent.id}
    assert ID_FIRST <= sent.id <= ID_LAST


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("style", list(HeaderStyle))
async def test_both_styles_at_both_rates_decode_to_what_was_said(
    style: HeaderStyle, rate: int
) -> None:
    _, reports = await say(sine(0.99, rate), style=style)
    voice = [parse_segment(report[style.report_key]) for report in reports]
    assert all(len(segment.voice_data) <= style.max_bytes for segment in voice)
    marks = {HeaderStyle.LENGTH32: b"\0\0", HeaderStyle.SPX: b"PX"}
    assert all(segment.voice_data[2:4] == marks[style] for segment in voice[:-1])
    with SpeexDecoder(rate) as decoder:
        frames = [frame for segment in voice for frame in unpack_frames(segment.voice_data)]
        samples = array.array("h", b"".join(map(decoder.decode, frames)))
    assert len(samples) == rate  # 0.99 s filled up to whole frames
    assert power_at(samples[rate // 10 : -rate // 10], rate, 440) > 0.8


async def test_ids_count_up_also_after_an_utterance_that_was_dropped() -> None:
    link = NotingLink()
    sender = VoiceSender(link, VoiceSettings())
    first = await sender.say(sine(0.1))
    link.good = len(link.reports) + 1
    with pytest.raises(LinkDownError):
        await sender.say(sine(1.0))
    link.good = 10**9
    third = await sender.say(sine(0.1))
    assert (third.id - first.id) % (ID_LAST - ID_FIRST + 1) in {2, 2 + ID_LAST - ID_FIRST}


async def test_the_id_begins_anew_after_the_last_of_the_documents_range() -> None:
    sender = VoiceSender(NotingLink(), VoiceSettings())
    sender._last_id = ID_LAST
    assert (await sender.say(sine(0.1))).id == ID_FIRST


async def test_an_utterance_is_cut_at_the_limit_and_said_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent, reports = await say(sine(2.5), max_seconds=1)
    assert (sent.cut, sent.seconds, sent.segments) == (True, 1.0, 5)
    assert len(reports) == 5
    assert "an utterance was cut at 1 s" in caplog.text


async def test_exactly_the_limit_is_not_cut() -> None:
    sent, _ = await say(sine(1.0), max_seconds=1)
    assert not sent.cut


async def test_without_a_link_the_utterance_is_dropped_not_kept() -> None:
    link = NotingLink(good=2)
    with pytest.raises(LinkDownError, match="link to the cloud is down"):
        await VoiceSender(link, VoiceSettings()).say(sine(3.0))
    assert len(link.reports) == 2


async def test_one_sample_is_an_utterance() -> None:
    sent, reports = await say(Sound(8000, b"\1\0"))
    assert sent.segments == len(reports) == 2
