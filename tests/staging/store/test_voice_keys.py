"""Sealed voice is read with its key and not without; keys that are deleted are in no file any more."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.orm import Session

from staging.erasing import Eraser
from staging.errors import StoreBusyError
from staging.gateway.reports import decide
from staging.recognition.outcomes import OutcomeLog
from staging.store import Database, copies, devices, effects, family, voice_keys
from staging.store.effects import Wanted
from staging.store.key_file import FILE_NAME
from staging.store.models import Report
from staging.store.voice_keys import PLAIN, SEALED, VoiceKeys, mark_of
from tests.staging.conftest import Databases
from wire.family import Spoken
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
    mark = mark_of(gone)
    assert mark is not None
    keys.note_going([(mark, 1)])
    keys.forget({mark})
    leave_a_copy(tmp_path / FILE_NAME, key)
    VoiceKeys(tmp_path / FILE_NAME).rewrite()  # of another process, after a kill of this one
    assert keys.going() == []
    assert [path.name for path in tmp_path.iterdir() if key in path.read_bytes()] == []
    assert keys.opened(gone) == segment(0) | {PLAIN: ""}
    assert keys.opened(kept) == segment(0, 10_002)
    # What goes on with an erased utterance is not sealed with a key that is gone.
    assert keys.opened(keys.seal(1, segment(1))) == segment(1)


def leave_a_copy(file: Path, key: bytes) -> None:
    """Leave what SQLite leaves of a row in a page's free room when it has put that together anew."""
    data, page = bytearray(file.read_bytes()), 4096
    assert data[page] == 10  # the second page is a leaf of the first table, with few rows
    at = page + 200
    assert not any(data[at : at + len(key)])
    data[at : at + len(key)] = key
    file.write_bytes(data)


def test_a_file_of_which_nothing_went_is_not_written_anew(keys: VoiceKeys, tmp_path: Path) -> None:
    sealed = keys.seal(1, segment(0))
    mark = mark_of(sealed)
    assert mark is not None
    keys.note_going([(mark, 1)])  # by a transaction that may still fail
    before = (tmp_path / FILE_NAME).read_bytes()
    keys.rewrite()
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert (keys.going(), keys.opened(sealed)) == ([(mark, 1)], segment(0))


def test_keys_of_a_store_that_was_replaced_go(keys: VoiceKeys, tmp_path: Path) -> None:
    old, new = keys.seal(1, segment(0)), keys.seal(1, segment(0, 10_002))
    mark = mark_of(new)
    assert mark is not None
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as file:
        lost = next(key for name, key in file.execute("SELECT id, key FROM keys") if name != mark)
    leave_a_copy(tmp_path / FILE_NAME, lost)
    keys.keep({mark})
    assert lost not in (tmp_path / FILE_NAME).read_bytes()
    assert keys.opened(old)[PLAIN] == ""
    assert keys.opened(new) == segment(0, 10_002)


def test_a_reader_of_voice_whose_keys_are_lost_hears_nothing_and_makes_no_file(
    keys: VoiceKeys, tmp_path: Path
) -> None:
    sealed = keys.seal(1, segment(0))
    (tmp_path / FILE_NAME).unlink()
    assert keys.opened(sealed) == segment(0) | {PLAIN: ""}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["no voice", None, 5, {SEALED: 5}, {SEALED: "zz.zz"}, {}])
def test_what_is_not_sealed_has_no_key(value: object) -> None:
    assert mark_of(value) is None


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
    keys.forget(set())
    keys.note_going([(b"8 bytes.", 1)])
    assert keys.going() == []
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


class Erased:
    """A store with one utterance, which is about to be erased, and the file of its key."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.path = database, folder / FILE_NAME
        self.outcomes = OutcomeLog(folder)
        self.keys = database.voice_keys = VoiceKeys(self.path)
        self.device = database.call(devices.add, None, 0).id
        wanted = [Wanted(decide("", {"duer_voice": segment(0)}))]
        database.call(effects.apply_all, self.device, None, wanted, 1000)

    def erase(self, session: Session) -> None:
        family.erase_spoken(session, self.device, [Spoken(10_001, 1000)], 2000)

    def values(self) -> list[Any]:
        """Return what is read of the history."""
        with_rows = self.database.call(lambda session: list(session.scalars(select(Report))))
        return [report.value for report in with_rows]

    def count(self, table: str = "keys") -> int:
        with contextlib.closing(sqlite3.connect(self.path)) as file:
            return int(file.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    async def start(self) -> None:
        """Do what a cloud does at its start."""
        await Eraser(self.database, self.outcomes, lambda: 3000).rest()


@pytest.fixture
def erased(database: Database, tmp_path: Path) -> Erased:
    return Erased(database, tmp_path)


def refuse(*_: object) -> None:
    raise OSError(28, "No space left on device")


def break_commit(database: Database) -> None:
    def on_commit(_connection: object) -> None:
        event.remove(database._writer, "commit", on_commit)
        raise sqlite3.OperationalError("the connection is gone")

    event.listen(database._writer, "commit", on_commit)


def test_files_are_scrubbed_by_a_connection_that_is_not_asked_what_its_server_had_before(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy knows nothing of it where connections to other servers have failed before (`test_unopened`)."""

    def unknown(_dialect: object, _connection: object) -> None:
        raise AttributeError("default_isolation_level")

    monkeypatch.setattr(PGDialect_psycopg, "reset_isolation_level", unknown)
    database.scrub()


async def test_a_commit_that_fails_leaves_the_voice_that_it_was_to_erase(erased: Erased) -> None:
    break_commit(erased.database)
    with pytest.raises(sqlite3.OperationalError):
        await erased.database.write(erased.erase)
    assert erased.count("going") == 1
    assert erased.values() == [segment(0)]
    await erased.start()
    assert (erased.count("going"), erased.values()) == (0, [segment(0)])
    await erased.database.write(erased.erase)
    assert (erased.count(), erased.values()) == (0, [])
    await erased.start()
    assert erased.count("going") == 0


async def test_a_journal_that_is_full_leaves_it_as_well(erased: Erased) -> None:
    erased.database.journal = refuse
    with pytest.raises(StoreBusyError):
        erased.database.call(erased.erase)
    await erased.start()
    assert (erased.count(), erased.values()) == (1, [segment(0)])


async def test_a_crash_after_the_commit_is_ended_at_the_next_start(
    erased: Erased, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_marks: object) -> None:
        raise StoreBusyError("as far as a killed process came")

    with monkeypatch.context() as patched:
        patched.setattr(erased.keys, "forget", crash)
        await erased.database.write(erased.erase)
        assert (erased.count(), erased.values()) == (1, [])
        with pytest.raises(StoreBusyError):
            await erased.start()
        assert erased.database.call(family.waiting) != []
    await erased.start()
    assert (erased.count(), erased.count("going")) == (0, 0)
    assert erased.database.call(family.waiting) == []


async def test_work_that_fails_beside_other_work_takes_no_key(erased: Erased) -> None:
    def fails(session: Session) -> None:
        erased.erase(session)
        raise ValueError("something else")

    done = await asyncio.gather(
        erased.database.write(fails), erased.database.write(devices.add, None, 0),
        return_exceptions=True,
    )  # fmt: skip
    assert isinstance(done[0], ValueError)
    assert (erased.count(), erased.count("going"), erased.values()) == (1, 0, [segment(0)])


def test_what_the_same_transaction_erases_is_not_decided_before_its_end(erased: Erased) -> None:
    def erase_and_settle(session: Session) -> set[bytes]:
        erased.erase(session)
        erased.keys.note_going(voice_keys.going(session))  # of a try that failed before
        return voice_keys.settle(session)

    assert erased.database.call(erase_and_settle) == set()
    assert erased.count() == 0
