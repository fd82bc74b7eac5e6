"""Voice segments in the store become utterances, page by page, and one by its start."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from staging.store import Database, devices, utterances
from staging.store.models import Device, Report
from staging.store.utterances import StoredSegment, group
from wire.reports import KEYS_VOICE
from wire.voice import HeaderStyle, VoiceSegment, pack_frame

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SEGMENTS_LIMIT = 400

RATE = 8000


def spoken(number: int, count: int, *, start: int) -> list[StoredSegment]:
    """Return an utterance of ``count`` segments, of which the last is its end."""
    frame = pack_frame(b"sound", HeaderStyle.LENGTH32, RATE)
    return [
        StoredSegment(start + n, VoiceSegment(number, n, RATE, n == count - 1, frame))
        for n in range(count)
    ]


def store(database: Database, *said: list[StoredSegment]) -> Device:
    """Return a device that reported these segments, and a value that is none."""
    device = database.call(devices.add, None, 0)
    key = min(KEYS_VOICE)

    def add(session: object, ts: int, value: object) -> None:
        row = Report(device_id=device.id, ts=ts, key=key, kind="REPORT", value=value)
        session.add(row)  # type: ignore[attr-defined]

    for stored in (segment for segments in said for segment in segments):
        database.call(add, stored.ts, stored.segment.to_json())
    database.call(add, 10**6, "no segment")
    return device


def test_an_id_that_comes_again_is_another_utterance() -> None:
    found = group([*spoken(10000, 2, start=0), *spoken(10000, 2, start=50)])
    assert [u.start for u in found] == [0, 50]


def test_an_utterance_without_an_end_is_cut_off() -> None:
    endless = spoken(1, SEGMENTS_LIMIT + 2, start=0)[:-1]
    assert [len(u.stored) for u in group(endless)] == [SEGMENTS_LIMIT, 1]


def test_an_utterance_has_two_minutes_however_many_frames_are_stored_of_it() -> None:
    frame = pack_frame(b"x", HeaderStyle.LENGTH32, RATE)
    segments = [VoiceSegment(1, n, RATE, eof=n == 100, voice_data=frame * 60) for n in range(101)]
    (utterance,) = group(StoredSegment(n, each) for n, each in enumerate(segments))
    assert len(utterance.frames()) == 6000


def test_pages_are_newest_first_and_lose_nothing(database: Database) -> None:
    device = store(database, *(spoken(n, 3, start=n * 10) for n in range(1, 6)))
    found: list[tuple[int, int, bool]] = []
    before: int | None = None
    while True:
        page, before = database.call(utterances.page, device.id, before, 2)
        found += [(u.id, u.start, u.complete) for u in page]
        if before is None:
            break
    assert found == [(n, n * 10, True) for n in range(5, 0, -1)]


def test_a_page_of_one_has_the_whole_of_a_long_one(database: Database) -> None:
    device = store(database, spoken(7, 70, start=10))
    page, before = database.call(utterances.page, device.id, None, 1)
    assert [(each.start, len(each.stored), each.complete) for each in page] == [(10, 70, True)]
    assert before is None


def test_one_is_found_by_its_start_and_its_number(database: Database) -> None:
    device = store(database, spoken(7, 3, start=10), spoken(8, 2, start=20))
    found = database.call(utterances.find, device.id, 10, 7)
    assert found is not None
    assert (found.id, len(found.stored), found.missing) == (7, 3, 0)
    assert database.call(utterances.find, device.id, 10, 8) is None
    assert database.call(utterances.find, device.id, 9, 7) is None
    assert database.call(utterances.find, device.id, 23, 8) is None


@pytest.mark.one_database
def test_the_first_two_hundred_times_that_a_device_told_are_looked_at(database: Database) -> None:
    device = database.call(devices.add, None, 0)

    def make(session: Any) -> None:
        row = {"device_id": device.id, "key": "utterance_times", "kind": "REPORT", "value": {}}
        session.execute(insert(Report), [row | {"ts": ts} for ts in range(1, 203)])

    database.call(make)
    found = database.call(utterances.times, device.id, 2)
    assert [ts for ts, _value in found] == list(range(2, 202))
