"""Reassembles voice segments into utterances. No I/O, no clock.

Late, duplicate and missing segments and endless utterances are handled. Segments come as reports:
confirmable ones in order and once, NON ones (2017 firmware) in any order, lost or repeated. An
utterance is complete when the segment with ``eof`` and all segments before it have arrived.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from wire.errors import WireError
from wire.voice import FRAME_SECONDS, VoiceSegment, unpack_frames

# A child's sentence takes seconds; the agent cuts off at one minute by default.
SECONDS_LIMIT = 60.0
FRAMES_LIMIT = round(SECONDS_LIMIT / FRAME_SECONDS)
# Each segment but the last has at least one frame.
SEGMENTS_LIMIT = FRAMES_LIMIT
# A device sends one utterance at a time; an older one may still wait for a late segment.
OPEN_PER_DEVICE = 2
OPEN_LIMIT = 256
# Of all open utterances together: half a minute of the best wideband quality from 200 devices.
BYTES_LIMIT = 32 * 1024 * 1024
# A segment is 300 ms of live speech; one that is this late is taken as lost.
IDLE_SECONDS = 10.0
# How long to wait for reordered segments after the last one has arrived.
GAP_SECONDS = 1.5
# A sentence with one lost segment in four can still be understood; with more it cannot.
MISSING_SHARE = 0.25
# Duplicate segments of a finished utterance are recognised for this long.
REMEMBER_SECONDS = 60.0
REMEMBER_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance's Speex frames in order, a tuple for each segment; ``None``: it was lost."""

    uuid: str
    id: int
    rate: int
    segments: tuple[tuple[bytes, ...] | None, ...]

    @property
    def missing(self) -> int:
        """How many segments were lost."""
        return sum(segment is None for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Broken:
    """An utterance that was discarded, and why."""

    uuid: str
    id: int
    reason: str


@dataclass(slots=True)
class _Open:
    rate: int
    touched: float
    segments: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    end: int | None = None
    """The number of segments; None until the one with ``eof`` has arrived."""
    frames: int = 0
    size: int = 0


_Key = tuple[str, int]


class Reassembler:
    """Collects the segments of many devices within fixed bounds; times are seconds, any origin."""

    def __init__(self) -> None:
        self._open: OrderedDict[_Key, _Open] = OrderedDict()
        self._finished: OrderedDict[_Key, float] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, uuid: str, segment: VoiceSegment, now: float) -> list[Utterance | Broken]:
        """Add a segment; return the utterance that it completes, and those discarded for it."""
        key = (uuid, segment.id)
        if self._was_finished(key, now):
            return []
        ended = self._make_room(key)
        held = self._open.setdefault(key, _Open(segment.rate, now))
        held.touched = now
        reason = self._put(held, segment)
        if reason is not None:
            ended.append(self._give_up(key, reason, now))
        elif held.end is not None and len(held.segments) == held.end:
            ended.append(self._finish(key, held, now))
        return ended

    def expire(self, now: float) -> list[Utterance | Broken]:
        """End the utterances that timed out: as complete if the gaps are small, else as broken."""
        return [
            self._end_late(key, held, now)
            for key, held in list(self._open.items())
            if now - held.touched >= (IDLE_SECONDS if held.end is None else GAP_SECONDS)
        ]

    def _put(self, held: _Open, segment: VoiceSegment) -> str | None:
        """Add a segment's frames; return why the utterance must be discarded, or None."""
        if segment.rate != held.rate:
            return f"the rate changed from {held.rate} to {segment.rate}"
        if segment.segment >= SEGMENTS_LIMIT:
            return f"segment {segment.segment}: longer than {SECONDS_LIMIT:g} s"
        if segment.eof and held.end is None:
            # The open API document's last segment is empty; other firmware's may have frames.
            held.end = segment.segment + bool(segment.voice_data)
        if segment.voice_data and segment.segment not in held.segments:
            try:
                frames = tuple(unpack_frames(segment.voice_data))
            except WireError as error:
                return f"segment {segment.segment}: {error}"
            held.segments[segment.segment] = frames
            held.frames += len(frames)
            size = sum(map(len, frames))
            held.size += size
            self._size += size
        if held.end is not None and any(number >= held.end for number in held.segments):
            return f"segments after the end, {held.end}"
        return f"longer than {SECONDS_LIMIT:g} s" if held.frames > FRAMES_LIMIT else None

    def _finish(self, key: _Key, held: _Open, now: float) -> Utterance | Broken:
        if not held.segments:
            return self._give_up(key, "it is empty", now)
        self._close(key, now)
        segments = tuple(held.segments.get(number) for number in range(held.end or 0))
        return Utterance(*key, held.rate, segments)

    def _end_late(self, key: _Key, held: _Open, now: float) -> Utterance | Broken:
        if held.end is None:
            return self._give_up(key, f"no end within {IDLE_SECONDS:g} s of its last segment", now)
        missing = held.end - len(held.segments)
        if missing > held.end * MISSING_SHARE:
            return self._give_up(key, f"{missing} of {held.end} segments are missing", now)
        return self._finish(key, held, now)

    def _give_up(self, key: _Key, reason: str, now: float) -> Broken:
        self._close(key, now)
        return Broken(*key, reason)

    def _close(self, key: _Key, now: float) -> None:
        self._size -= self._open.pop(key).size
        self._finished[key] = now
        while len(self._finished) > REMEMBER_LIMIT:
            self._finished.popitem(last=False)

    def _was_finished(self, key: _Key, now: float) -> bool:
        finished = self._finished.get(key)
        return finished is not None and now - finished < REMEMBER_SECONDS

    def _make_room(self, key: _Key) -> list[Utterance | Broken]:
        """Discard the oldest utterances until one more segment of ``key`` fits into the bounds."""
        return [
            self._give_up(oldest, reason, self._open[oldest].touched)
            for oldest, reason in self._superfluous(key)
        ]

    def _superfluous(self, key: _Key) -> Iterator[tuple[_Key, str]]:
        others = [other for other in self._open if other != key]
        mine = [other for other in others if other[0] == key[0]]
        if key not in self._open and len(mine) >= OPEN_PER_DEVICE:
            others.remove(mine[0])
            yield mine[0], "a newer utterance of the device began"
        if key not in self._open and len(self._open) > OPEN_LIMIT - 1 and others:
            yield others.pop(0), f"{OPEN_LIMIT} utterances are open"
        if self._size > BYTES_LIMIT and others:
            yield others[0], f"open utterances hold over {BYTES_LIMIT} bytes"
