"""Utterances as samples and waveforms, whatever was lost or damaged."""

from __future__ import annotations

import io
import math
import struct
import wave

import pytest

from audio.speex import SpeexEncoder
from audio.wav import render_wav
from staging.console.sound import decode, peaks
from staging.store.utterances import StoredSegment, Utterance, group
from wire.voice import HeaderStyle, Segmenter, VoiceSegment, pack_frame

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PEAKS = 120

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
    found = group([*say(10000, 40), *say(10001, 20, start=100)])
    assert [(u.id, u.start, u.complete, round(u.seconds, 2)) for u in found] == [
        (10000, 0, True, 0.8),
        (10001, 100, True, 0.4),
    ]
    sound, damaged = decode(found[0])
    assert damaged == 0
    with wave.open(io.BytesIO(render_wav(sound))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE, 1, 6400)
    shown = peaks(sound.samples)
    assert len(shown) == PEAKS
    assert max(shown) == pytest.approx(12000 / 32768, rel=0.3)


def test_what_is_lost_damaged_or_late_is_said_and_the_rest_is_heard() -> None:
    stored = say(10000, 45)
    lost = group([stored[0], *stored[2:]])[0]
    assert (lost.missing, lost.complete) == (1, False)
    turned = group([stored[1], stored[0], *stored[2:]])[0]
    assert decode(turned) == decode(group(stored)[0])
    bad = VoiceSegment(1, 0, RATE, eof=False, voice_data=pack_frame(b"\xff", HeaderStyle.SPX, RATE))
    sound, damaged = decode(Utterance(1, RATE, [StoredSegment(0, bad)]))
    assert (damaged, sound.samples) == (1, bytes(320))
    assert peaks(b"") == []
