"""The utterances of a device: its reported voice segments, grouped, and the queries for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from staging.store.history import of_family
from staging.store.models import Report
from wire.errors import WireError
from wire.reports import KEYS_VOICE
from wire.utterance_times import KEY_UTTERANCE_TIMES
from wire.voice import FRAME_SECONDS, VoiceSegment, parse_segment, unpack_frames

# Twice 60 s in segments of 15 frames; an utterance without an end is cut off here.
SEGMENTS_LIMIT = 400
# Two minutes. The gateway takes no more of an utterance; an older store may hold more.
FRAMES_LIMIT = 6000
# Reports of utterances' times that one page looks at.
TIMES_LIMIT = 200


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
    _unpacked: tuple[int, list[bytes]] = field(default=(0, []), repr=False, compare=False)
    """The frames, and of how many segments they are."""

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
        """Return the Speex frames, in the order of the segments' numbers, at most FRAMES_LIMIT."""
        if self._unpacked[0] != len(self.stored):
            self._unpacked = (len(self.stored), self._unpack())
        return self._unpacked[1]

    def _unpack(self) -> list[bytes]:
        ordered = sorted(self.stored, key=lambda stored: stored.segment.segment)
        unique = {stored.segment.segment: stored.segment for stored in ordered}
        frames = (frame for segment in unique.values() for frame in _frames(segment))
        return list(islice(frames, FRAMES_LIMIT))


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


def _frames(segment: VoiceSegment) -> Sequence[bytes]:
    try:
        return unpack_frames(segment.voice_data)
    except WireError:
        return ()  # the gateway refuses such a report, but an older store may contain one


def page(
    session: Session, device_id: int, before: int | None, limit: int
) -> tuple[list[Utterance], int | None]:
    """Return a page of utterances, newest first, and the next page's cursor, None at the end."""
    # As many as the longest one has, however few are asked for: a part of one would be taken for all of it.
    statement = _voice(device_id).order_by(Report.ts.desc()).limit(SEGMENTS_LIMIT)
    if before is not None:
        statement = statement.where(Report.ts < before)
    found = list(session.scalars(statement))
    grouped = group(_stored(reversed(found)))
    more = len(found) == SEGMENTS_LIMIT
    if more and len(grouped) > 1:
        grouped = grouped[1:]  # its beginning may be on the next page
    kept = grouped[-limit:]
    more = more or len(kept) < len(grouped)
    return kept[::-1], kept[0].start if more and kept else None


def find(session: Session, device_id: int, start: int, number: int) -> Utterance | None:
    """Return the utterance ``number`` whose first segment arrived at ``start`` (ms), or None."""
    statement = _voice(device_id).where(Report.ts >= start)
    found = session.scalars(statement.order_by(Report.ts).limit(SEGMENTS_LIMIT))
    grouped = group(_stored(found))
    first = grouped[0] if grouped else None
    return first if first and (first.start, first.id) == (start, number) else None


def times(session: Session, device_id: int, since: int) -> list[tuple[int, Any]]:
    """Return what the device told about its utterances' times since ``since`` (ms): (time of arrival, value)."""
    statement = select(Report.ts, Report.value).where(
        *of_family(device_id), Report.key == KEY_UTTERANCE_TIMES, Report.ts >= since
    )
    found = session.execute(statement.order_by(Report.ts).limit(TIMES_LIMIT))
    return [(ts, value) for ts, value in found]


def _voice(device_id: int) -> Select[Any]:
    return select(Report).where(*of_family(device_id), Report.key.in_(KEYS_VOICE))


def _stored(reports: Iterable[Report]) -> Iterator[StoredSegment]:
    for report in reports:
        try:
            yield StoredSegment(report.ts, parse_segment(report.value))
        except WireError:
            continue  # the gateway refuses such a report, but an older store may contain one
