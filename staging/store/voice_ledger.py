"""The ledger of the child's voice: one entry for each utterance, as its segments come; it stays when the voice goes.

An entry and the utterance that `staging.store.utterances` groups from the segments have the same number and start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from staging.store import voice_keys
from staging.store.models import Device, Report, VoiceEntry
from staging.store.utterances import SEGMENTS_LIMIT
from wire.errors import WireError
from wire.family import Spoken
from wire.reports import KEYS_VOICE
from wire.utterance_times import KEY_UTTERANCE_TIMES, UtteranceTimes, parse_times
from wire.voice import FRAME_SECONDS, VoiceSegment, unpack_frames

# Milliseconds. A segment is 300 ms of live speech; a repeated one comes within a minute.
SAME_MS = 60_000
# Numbers come again after 100,000 utterances: times and erasures so far away are another's.
NEAR_MS = 10 * 60_000
# How long entries are kept, whose voice has long been erased: 400 days.
KEEP_MS = 400 * 86_400_000
BY_DAYS = "days"


def takes(session: Session, device: Device, segment: VoiceSegment, now: int) -> bool:
    """Return whether a segment may be stored: not if its utterance was erased or cut off while it came."""
    if device.cut_utterance == segment.id:
        return False
    if device.cut_utterance is not None:
        device.cut_utterance = None
    last = last_of(session, device.id)
    return not (_continues(last, segment, now) and last is not None and last.erase_time is not None)


def note_segment(session: Session, device: Device, segment: VoiceSegment, ts: int) -> None:
    """Enter a segment that was stored at ``ts`` (ms)."""
    entry = last_of(session, device.id)
    if entry is None or entry.complete or not _continues(entry, segment, ts):
        entry = VoiceEntry(
            device_id=device.id, utterance=segment.id, start=ts, last=ts, complete=False,
            segments=0, frames=0, size=0,
        )  # fmt: skip
        session.add(entry)
    entry.last = ts
    entry.segments += 1
    entry.frames += _frames(segment)
    entry.size += len(segment.voice_data)
    # As `utterances.group` ends one.
    entry.complete = segment.eof or entry.segments >= SEGMENTS_LIMIT
    session.flush()


def last_of(session: Session, device_id: int) -> VoiceEntry | None:
    """Return a device's newest entry, None if there is none."""
    of_device = select(VoiceEntry).where(VoiceEntry.device_id == device_id)
    return session.scalar(of_device.order_by(VoiceEntry.start.desc()).limit(1))


def _continues(entry: VoiceEntry | None, segment: VoiceSegment, now: int) -> bool:
    if entry is None or entry.utterance != segment.id:
        return False
    return entry.erase_time is None or now - entry.last <= SAME_MS


def _frames(segment: VoiceSegment) -> int:
    try:
        return len(unpack_frames(segment.voice_data))
    except WireError:
        return 0  # the gateway refuses such a report


def note_times(session: Session, device_id: int, value: object, told: int) -> bool:
    """Enter what a device told about an utterance at a time (ms); return False if that was erased, and nothing is to be stored."""
    times = parse_times(value)
    entry = find(session, device_id, Spoken(times.id, told))
    if entry is None:
        return True
    if entry.erase_time is not None:
        return False
    _tell(entry, times)
    return True


def _tell(entry: VoiceEntry, times: UtteranceTimes) -> None:
    entry.result = times.end
    if times.why:
        entry.why = times.why


def find(session: Session, device_id: int, spoken: Spoken) -> VoiceEntry | None:
    """Return the entry of an utterance as its device names it: the nearest one with this number."""
    low, high = spoken.at - NEAR_MS, spoken.at + NEAR_MS
    found = session.scalars(
        select(VoiceEntry)
        .where(
            VoiceEntry.device_id == device_id, VoiceEntry.utterance == spoken.id,
            VoiceEntry.start > low, VoiceEntry.start < high,
        )
        .order_by(VoiceEntry.start.desc())
    )  # fmt: skip
    return min(found, key=lambda entry: abs(entry.start - spoken.at), default=None)


def page(
    session: Session, device_id: int, before: int | None, limit: int
) -> tuple[list[VoiceEntry], int | None]:
    """Return entries of the present family, newest first, and the next page's cursor (the last one's id)."""
    since = select(Device.family_since).where(Device.id == device_id).scalar_subquery()
    statement = select(VoiceEntry).where(
        VoiceEntry.device_id == device_id, VoiceEntry.start > since
    )
    if before is not None:
        statement = statement.where(VoiceEntry.id < before)
    found = list(session.scalars(statement.order_by(VoiceEntry.id.desc()).limit(limit + 1)))
    kept = found[:limit]
    return kept, kept[-1].id if len(found) > limit else None


def owned(session: Session, device_id: int, numbers: Iterable[int]) -> list[VoiceEntry]:
    """Return those of the entries that are of the present family, and not erased."""
    since = session.get_one(Device, device_id).family_since
    wanted = select(VoiceEntry).where(
        VoiceEntry.device_id == device_id, VoiceEntry.start > since,
        VoiceEntry.id.in_(list(numbers)), VoiceEntry.erase_time.is_(None),
    )  # fmt: skip
    return list(session.scalars(wanted.order_by(VoiceEntry.id)))


def mark(session: Session, entries: Sequence[VoiceEntry], by: str, now: int) -> None:
    """Mark entries as erased, before their rows go: what still comes of them is not stored."""
    for entry in entries:
        entry.erase_time, entry.erased_by = now, by
    session.flush()


def mark_until(session: Session, device_id: int, until: int, by: str, now: int) -> None:
    """Mark all entries up to a time (ms) as erased."""
    session.execute(
        update(VoiceEntry)
        .where(
            VoiceEntry.device_id == device_id, VoiceEntry.start <= until,
            VoiceEntry.erase_time.is_(None),
        )
        .values(erase_time=now, erased_by=by)
    )  # fmt: skip


def is_gone(session: Session, uuid: str, utterance: int, arrived: int) -> bool:
    """Return whether an utterance that arrived at ``arrived`` (ms) was erased, or is of a family that has gone."""
    device = session.scalar(select(Device).where(Device.uuid == uuid))
    if device is None:
        return False
    if arrived <= device.family_since or device.cut_utterance == utterance:
        return True
    entry = find(session, device.id, Spoken(utterance, arrived))
    return entry is not None and entry.erase_time is not None


# Rows that go.


def reports_of(session: Session, entry: VoiceEntry) -> list[int]:
    """Return the times of the reports that an entry's voice is in, and of the device's report about it."""
    near = select(Report.ts, Report.key, Report.value).where(
        Report.device_id == entry.device_id, Report.ts >= entry.start,
        Report.ts <= entry.last + NEAR_MS, Report.key.in_([*KEYS_VOICE, KEY_UTTERANCE_TIMES]),
    )  # fmt: skip
    return [
        ts
        for ts, key, value in session.execute(near)
        if isinstance(value, dict)
        and value.get("id") == entry.utterance
        and (ts <= entry.last or key == KEY_UTTERANCE_TIMES)
    ]


_VOICE = Report.key.in_([*KEYS_VOICE, KEY_UTTERANCE_TIMES])


def with_voice_before(session: Session, before: int, limit: int) -> list[int]:
    """Return the numbers of up to ``limit`` devices that have voice from before a time (ms)."""
    older = exists().where(Report.device_id == Device.id, _VOICE, Report.ts < before)
    return list(session.scalars(select(Device.id).where(older).limit(limit)))


def expire(session: Session, device_id: int, before: int, limit: int, now: int) -> int:
    """Erase a step of a device's voice from before a time (ms); return how many rows went, 0 when none is left."""
    old = select(Report.ts).where(Report.device_id == device_id, _VOICE, Report.ts < before)
    found = list(session.scalars(old.limit(limit)))
    if found:
        forget_keys(session, device_id, found)
        of_these = (Report.device_id == device_id, Report.ts.in_(found))
        session.execute(delete(Report).where(*of_these))
    else:
        mark_until(session, device_id, before - 1, BY_DAYS, now)
    return len(found)


def forget_keys(session: Session, device_id: int, times: Sequence[int]) -> None:
    """Let the keys of the voice of these times (ms) go with its rows."""
    if voice_keys.of(session) is not None:
        of_these = (Report.device_id == device_id, Report.ts.in_(times), Report.key.in_(KEYS_VOICE))
        found = session.scalars(select(Report.value).where(*of_these))
        voice_keys.note_going(session, device_id, found)


def forget_old(session: Session, now: int) -> None:
    """Delete the entries that are older than `KEEP_MS`."""
    session.execute(delete(VoiceEntry).where(VoiceEntry.start < now - KEEP_MS))


def seconds(entry: VoiceEntry) -> float:
    """Return how long an utterance is."""
    return round(entry.frames * FRAME_SECONDS, 2)
