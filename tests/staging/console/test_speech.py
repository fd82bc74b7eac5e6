"""Stored voice segments as utterances, samples and byte ranges."""

from __future__ import annotations

import io
import math
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.speex import SpeexEncoder
from audio.wav import render_wav
from staging.console import speech
from staging.console.speech import StoredSegment, Utterance
from wire.voice import HeaderStyle, Segmenter, VoiceSegment, pack_frame

RATE = 8000


def say(number: int, frames: int, *, start: int = 0) -> list[StoredSegment]:
    """Return the segments of a tone, as the store holds them."""
    segmenter = Segmenter(number, RATE, HeaderStyle.LENGTH32)
    segments: list[VoiceSegment] = []
    with SpeexEncoder(RATE) as encoder:
        for frame in range(frames):
            values = [int(12000 * math.sin(n * 0.3)) for n in range(frame * 160, frame * 160 + 160)]
            segment = segmenter.add(encoder.encode(struct.pack("<160h", *values)))
            segments += [segment] if segment else []
    segments += segmenter.finish()
    return [StoredSegment(start + index, segment) for index, segment in enumerate(segments)]


def test_segments_become_utterances_and_samples() -> None:
    found = speech.group([*say(10000, 40), *say(10001, 20, start=100)])
    assert [(u.id, u.start, u.complete, round(u.seconds, 2)) for u in found] == [
        (10000, 0, True, 0.8),
        (10001, 100, True, 0.4),
    ]
    sound, damaged = speech.decode(found[0])
    assert damaged == 0
    with wave.open(io.BytesIO(render_wav(sound))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE, 1, 6400)
    shown = speech.peaks(sound.samples)
    assert len(shown) == speech.PEAKS
    assert max(shown) == pytest.approx(12000 / 32768, rel=0.3)


def test_an_id_that_comes_again_is_another_utterance() -> None:
    found = speech.group([*say(10000, 5), *say(10000, 5, start=50)])
    assert [u.start for u in found] == [0, 50]


def test_what_is_lost_damaged_or_late_is_said_and_the_rest_is_heard() -> None:
    stored = say(10000, 45)
    lost = speech.group([stored[0], *stored[2:]])[0]
    assert (lost.missing, lost.complete) == (1, False)
    turned = speech.group([stored[1], stored[0], *stored[2:]])[0]
    assert speech.decode(turned) == speech.decode(speech.group(stored)[0])
    bad = VoiceSegment(1, 0, RATE, eof=False, voice_data=pack_frame(b"\xff", HeaderStyle.SPX, RATE))
    sound, damaged = speech.decode(Utterance(1, RATE, [StoredSegment(0, bad)]))
    assert (damaged, sound.samples) == (1, bytes(320))
    assert speech.peaks(b"") == []


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_ranges_lie_within_the_file(size: int, first: int, last: int) -> None:
    try:
        found = speech.byte_range(f"bytes={first}-{last}", size)
    except ValueError:
        assert first >= size or last < first
        return
    assert found == (first, min(last, size - 1))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", (0, 99)),
        ("bytes=-10", (90, 99)),
        ("bytes=-1000", (0, 99)),
        ("bytes=0-1,5-6", None),
        ("lines=1-2", None),
        ("bytes=x-2", None),
        ("bytes=-", None),
    ],
)
def test_range_forms(header: str | None, expected: tuple[int, int] | None) -> None:
    assert speech.byte_range(header, 100) == expected
