"""Turns stored voice segments into audible utterances: grouping, decoding, WAV, waveform peaks.

No I/O; decoding needs libspeex (`audio.speex`). Samples are little-endian signed 16-bit mono PCM.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from audio.errors import SpeexDecodeError
from audio.pcm import Pcm
from audio.speex import SpeexDecoder
from wire.errors import WireError
from wire.voice import FRAME_SECONDS, VoiceSegment, unpack_frames

# Columns of a waveform in the console.
PEAKS = 120
# Twice 60 s in segments of 15 frames; an utterance without an end is cut off here.
SEGMENTS_LIMIT = 400
_FULL_SCALE = 32768


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment and its time of arrival in ms."""

    ts: int
    segment: VoiceSegment


@dataclass(slots=True)
class Utterance:
    """The segments of one utterance, in order of arrival."""

    id: int
    rate: int
    stored: list[StoredSegment] = field(default_factory=list)

    @property
    def start(self) -> int:
        """When the first segment arrived, in ms; with the id it identifies the utterance."""
        return self.stored[0].ts

    @property
    def complete(self) -> bool:
        """Whether the last segment has arrived and none is missing."""
        return self.stored[-1].segment.eof and self.missing == 0

    @property
    def missing(self) -> int:
        """The number of segments before the highest one that did not arrive."""
        numbers = {stored.segment.segment for stored in self.stored}
        return max(numbers) + 1 - len(numbers)

    @property
    def seconds(self) -> float:
        """The duration."""
        return len(self.frames()) * FRAME_SECONDS

    def frames(self) -> list[bytes]:
        """Return the Speex frames, in the order of the segments' numbers."""
        ordered = sorted(self.stored, key=lambda stored: stored.segment.segment)
        unique = {stored.segment.segment: stored.segment for stored in ordered}
        return [frame for segment in unique.values() for frame in _frames(segment)]


def group(stored: Iterable[StoredSegment]) -> list[Utterance]:
    """Group segments, oldest first, into utterances; ids repeat, so only adjacent ones match."""
    found: list[Utterance] = []
    for item in stored:
        segment = item.segment
        last = found[-1] if found else None
        if last is None or last.id != segment.id or _is_over(last):
            last = Utterance(segment.id, segment.rate)
            found.append(last)
        last.stored.append(item)
    return found


def _is_over(utterance: Utterance) -> bool:
    return utterance.stored[-1].segment.eof or len(utterance.stored) >= SEGMENTS_LIMIT


def decode(utterance: Utterance) -> tuple[Pcm, int]:
    """Decode an utterance; returns its samples and the number of frames that libspeex rejected.

    A rejected frame becomes 20 ms of silence.
    """
    pieces: list[bytes] = []
    damaged = 0
    with SpeexDecoder(utterance.rate) as decoder:
        for frame in utterance.frames():
            try:
                pieces.append(decoder.decode(frame))
            except SpeexDecodeError:
                damaged += 1
                pieces.append(bytes(decoder.frame_bytes))
    return Pcm(utterance.rate, b"".join(pieces)), damaged


def peaks(samples: bytes, columns: int = PEAKS) -> list[float]:
    """Return the peak, 0 to 1, of each of ``columns`` equal parts; [] for no samples."""
    values = array("h", samples)
    if not values:
        return []
    columns = min(columns, len(values))
    edges = [index * len(values) // columns for index in range(columns + 1)]
    return [_peak(values[low:high]) for low, high in pairwise(edges)]


def _peak(part: Sequence[int]) -> float:
    return round(max(*part, -min(part)) / _FULL_SCALE, 3)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Parse a Range header (RFC 9110, 14.1.2) with one range.

    Returns:
        The positions of the first and the last byte; None: send the whole file.

    Raises:
        ValueError: the range is outside of the ``size`` bytes.
    """
    unit, _, text = (header or "").partition("=")
    first, dash, last = text.strip().partition("-")
    digits = all(part == "" or (part.isascii() and part.isdigit()) for part in (first, last))
    if unit.strip().lower() != "bytes" or not dash or not digits or not (first or last):
        return None  # several ranges, other units: a server may ignore the header
    if not first:
        low, high = max(0, size - int(last)), size - 1
    else:
        low, high = int(first), min(size - 1, int(last) if last else size - 1)
    if low >= size or low > high or (not first and int(last) == 0):
        raise ValueError(f"range: got {header}, expected one within {size} bytes")
    return low, high


def _frames(segment: VoiceSegment) -> list[bytes]:
    try:
        return unpack_frames(segment.voice_data)
    except WireError:
        return []  # the gateway refuses such a report, but an older store may contain one
