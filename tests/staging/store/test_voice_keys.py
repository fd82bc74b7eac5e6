"""Sealed voice is read with its key and not without; keys that are deleted are in no file any more."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.errors import StoreBusyError
from staging.gateway.reports import decide
from staging.store import Database, copies, devices, effects
from staging.store.effects import Wanted
from staging.store.models import Report
from staging.store.voice_keys import FILE_NAME, PLAIN, SEALED, VoiceKeys, mark_of
from tests.staging.conftest import Databases
from wire.voice import VoiceSegment

SOUND = (b"\x14\0\0\0" + bytes(range(20))) * 8  # frames with their lengths


def segment(number: int, utterance: int = 10_001, sound: bytes = SOUND) -> dict[str, object]:
    return VoiceSegment(utterance, number, 8000, eof=not sound, voice_data=sound).to_json()


@pytest.fixture
def keys(tmp_path: Path) -> VoiceKeys:
    return VoiceKeys(tmp_path / FILE_NAME)


def test_what_is_sealed_is_read_by_another_process_and_its_sound_is_nowhere(
    keys: VoiceKeys, tmp_path: Path
) -> None:
    value = segment(0)
    sealed = keys.seal(1, value)
    assert sealed.keys() == value.keys() - {PLAIN} | {SEALED}
    assert str(value[PLAIN]) not in str(sealed)
    assert VoiceKeys(tmp_path / FILE_NAME).opened(sealed) == value
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_an_utterance_has_one_key_and_the_next_of_its_number_another(keys: VoiceKeys) -> None:
    marks = [mark_of(keys.seal(1, segment(number))) for number in (0, 1, 2, 0, 1)]
    assert marks[0] == marks[1] == marks[2] != marks[3] == marks[4]
    assert mark_of(keys.seal(2, segment(2))) not in marks


def test_a_forgotten_key_is_in_no_file_and_opens_nothing(keys: VoiceKeys, tmp_path: Path) -> None:
    gone, kept = keys.seal(1, segment(0)), keys.seal(1, segment(0, 10_002))
    with sqlite3.connect(tmp_path / FILE_NAME) as file:
        found = dict(file.execute("SELECT id, key FROM keys"))
    key = found[mark_of(gone)]
    assert key in (tmp_path / FILE_NAME).read_bytes()
    keys.forget([gone, "no voice", None, {SEALED: 5}, {SEALED: "zz.zz"}])
    assert [path.name for path in tmp_path.iterdir() if key in path.read_bytes()] == []
    assert keys.opened(gone) == segment(0) | {PLAIN: ""}
    assert keys.opened(kept) == segment(0, 10_002)
    # What goes on with an erased utterance is not sealed with a key that is gone.
    assert keys.opened(keys.seal(1, segment(1))) == segment(1)


def test_keys_of_a_store_that_was_replaced_go(keys: VoiceKeys) -> None:
    old, new = keys.seal(1, segment(0)), keys.seal(1, segment(0, 10_002))
    mark = mark_of(new)
    assert mark is not None
    keys.keep({mark})
    assert keys.opened(old)[PLAIN] == ""
    assert keys.opened(new) == segment(0, 10_002)


@pytest.mark.parametrize(
    "damage", ["00.AAAA", ".", "", "0011223344556677.!", "0011223344556677.AAAA"]
)
def test_a_damaged_value_is_no_sound_and_no_error(keys: VoiceKeys, damage: str) -> None:
    keys.seal(1, segment(0))
    found = keys.opened({"id": 1, SEALED: damage})
    assert found.get(PLAIN, "") == ""


def test_another_byte_is_no_sound(keys: VoiceKeys) -> None:
    sealed = keys.seal(1, segment(0))
    sealed[SEALED] = sealed[SEALED][:-8] + "AAAAAAA="
    assert keys.opened(sealed)[PLAIN] == ""


def test_what_is_no_sound_is_not_sealed(keys: VoiceKeys, tmp_path: Path) -> None:
    for value in (segment(3, sound=b""), {"id": "x"}, {PLAIN: "not Base64"}):
        assert keys.seal(1, value) == value
        assert keys.opened(value) == value
    keys.forget([])
    keys.keep(set())
    assert not (tmp_path / FILE_NAME).exists()


def test_a_file_that_cannot_be_used_is_a_busy_store(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    keys = VoiceKeys(tmp_path / FILE_NAME)
    with pytest.raises(StoreBusyError, match=FILE_NAME):
        keys.seal(1, segment(0))


def test_a_copy_has_the_voice_open_and_a_postgresql_made_of_it_has_it_sealed(
    databases: Databases, tmp_path: Path
) -> None:
    where, copy = databases.shared(), tmp_path / "store.sqlite"
    keys = VoiceKeys(tmp_path / FILE_NAME)

    def raw(session: Session) -> list[Any]:
        return [value for (value,) in session.connection().execute(select(Report.value))]

    def read(session: Session) -> list[Any]:
        return [report.value for report in session.scalars(select(Report))]

    database = Database(where)
    database.voice_keys = keys
    device = database.call(devices.add, None, 0)
    wanted = [Wanted(decide(device.uuid, {"duer_voice": segment(0)}))]
    database.call(effects.apply_all, device.id, None, wanted, 1000)
    before = database.call(raw)
    assert mark_of(before[0]) is not None
    assert database.call(read) == [segment(0)]
    database.close()

    copies.copy_out(where, copy, keys)
    opened = Database(copy)
    assert opened.call(raw) == opened.call(read) == [segment(0)]
    opened.close()

    copies.copy_in(copy, where, keys, replace=True)
    again = Database(where)
    again.voice_keys = keys
    assert mark_of(again.call(raw)[0]) not in {None, mark_of(before[0])}
    assert again.call(read) == [segment(0)]
    assert keys.opened(before[0])[PLAIN] == ""
    again.close()
