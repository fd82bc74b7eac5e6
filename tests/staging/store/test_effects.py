"""What a report's effects leave in the tables."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from staging.gateway.reports import decide
from staging.store import Database, devices, effects
from staging.store.effects import VoiceSeen, Wanted
from wire.voice import VoiceSegment

UUID = "0083000000000a"
SEGMENT: dict[str, object] = {
    "id": 10000, "segment": 0, "rate": 8000, "channel": 1, "eof": 0, "voice_data": "AQAAAEE=",
}  # fmt: skip
STORED = (
    '{"id": 10000, "segment": 0, "rate": 8000, "channel": 1, "eof": 0, "voice_data": "AQAAAEE="}'
)


def test_a_voice_segment_is_an_object_until_its_row_is_made(database: Database) -> None:
    wanted = decide(UUID, {"voice_control": SEGMENT})
    assert wanted == [VoiceSeen("voice_control", VoiceSegment(10000, 0, 8000, False, b"\1\0\0\0A"))]
    device = database.call(devices.add, UUID, 0)
    assert database.call(effects.apply_all, device.id, None, [Wanted(wanted)], 5).notes == []

    def rows(session: Any) -> list[tuple[object, ...]]:
        statement = text("SELECT key, kind, ts, CAST(value AS TEXT) FROM reports")
        return [tuple(row) for row in session.execute(statement)]

    # To the byte, because rows of earlier versions are read by the same code.
    assert database.call(rows) == [("voice_control", "REPORT", 5, STORED)]


def test_the_last_segment_is_stored_without_voice_data(database: Database) -> None:
    device = database.call(devices.add, UUID, 0)
    last = VoiceSegment(10000, 1, 8000, eof=True)
    wanted = Wanted([VoiceSeen("duer_voice", last)])
    database.call(effects.apply_all, device.id, None, [wanted], 5)

    def value(session: Any) -> str:
        return str(session.scalar(text("SELECT CAST(value AS TEXT) FROM reports")))

    stored = '{"id": 10000, "segment": 1, "rate": 8000, "channel": 1, "eof": 1}'
    assert database.call(value) == stored
