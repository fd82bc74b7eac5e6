"""What a device said, as it came and as it sounds: segments, frames, samples and their levels."""

from __future__ import annotations

import functools
import math
from array import array
from dataclasses import dataclass, field

from audio.errors import SpeexDecodeError
from audio.speex import SpeexDecoder, frame_samples
from staging.advise.record import Arrival
from wire.reports import KEYS_VOICE
from wire.voice import VoiceError, unpack_frames

FULL_SCALE = 32768
# Decibels relative to full scale of what is no sound at all.
NOTHING = -96.0
# Decibels below the loudest 20 ms: within it is speech, beyond it silence.
SPEECH_RANGE, SILENCE_RANGE = 20.0, 30.0
# From this value on a sample is taken to be cut off: the codec makes it a little less than full.
CLIPPED = 32000


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment as it came: when, under which key, and its value."""

    at: float
    key: str
    value: object


@dataclass(slots=True)
class Utterance:
    """All that came while somebody spoke.

    Attributes:
        asked: when somebody was asked to speak.
        spoken: whether anybody could.
        before: segments that came in the seconds before.
        pieces: those that came since.
    """

    asked: float
    spoken: bool = False
    before: list[Piece] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)


def pieces_of(arrival: Arrival) -> list[Piece]:
    """Return the segments that a report has."""
    found = arrival.data
    return [Piece(arrival.at, key, found[key]) for key in sorted(KEYS_VOICE & found.keys())]


@dataclass(frozen=True, slots=True)
class Sound:
    """What an utterance sounds like; levels in dB relative to full scale.

    Attributes:
        seconds: how long it is.
        loudness: of what is speech in it.
        clipped: the share of samples that are cut off, 0 to 1.
        lead, tail: seconds of silence at the beginning and at the end.
    """

    seconds: float
    loudness: float
    clipped: float
    lead: float
    tail: float


@functools.lru_cache(maxsize=32)
def decode(rate: int, data: tuple[bytes, ...]) -> bytes:
    """Return the samples of an utterance's segments.

    Raises:
        VoiceError: a segment cannot be split into frames.
        SpeexDecodeError: libspeex cannot decode one.
        SpeexUnavailableError: libspeex is missing.
    """
    with SpeexDecoder(rate) as decoder:
        return b"".join(decoder.decode(frame) for each in data for frame in unpack_frames(each))


def fault_of(rate: int, data: tuple[bytes, ...]) -> str:
    """Return why an utterance cannot be decoded, "" if it can; raises SpeexUnavailableError."""
    try:
        decode(rate, data)
    except (VoiceError, SpeexDecodeError) as error:
        return str(error)
    return ""


@functools.lru_cache(maxsize=32)
def measure(rate: int, samples: bytes) -> Sound:
    """Return what samples sound like, in blocks of 20 ms."""
    values = array("h", samples)
    size = frame_samples(rate)
    powers = [
        sum(each * each for each in values[at : at + size]) / size
        for at in range(0, len(values) - size + 1, size)
    ]
    levels = [_decibels(power) for power in powers]
    top = max(levels, default=NOTHING)
    loud = [
        power for power, level in zip(powers, levels, strict=True) if level > top - SPEECH_RANGE
    ]
    heard = [at for at, level in enumerate(levels) if level > max(top - SILENCE_RANGE, NOTHING)]
    clipped = sum(abs(each) >= CLIPPED for each in values)
    return Sound(
        seconds=len(values) / rate,
        loudness=_decibels(sum(loud) / len(loud)) if loud else NOTHING,
        clipped=clipped / max(1, len(values)),
        lead=(heard[0] if heard else len(levels)) * size / rate,
        tail=(len(levels) - 1 - heard[-1] if heard else 0) * size / rate,
    )


def _decibels(power: float) -> float:
    return max(NOTHING, 10 * math.log10(power / FULL_SCALE**2)) if power else NOTHING
