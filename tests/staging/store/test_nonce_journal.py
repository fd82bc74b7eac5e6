"""What a kill leaves of the nonces of reads is read again, and what is stored is not kept twice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from staging.errors import StoreBusyError, StoreFullError
from staging.store import Database, apps
from staging.store.apps import Nonce
from staging.store.nonce_journal import NonceJournal
from staging.store.nonces import Nonces

pytestmark = pytest.mark.one_database
NOW = 1_495_000_000_000


def one(number: int) -> Nonce:
    return Nonce(1, f"nonce-{number}", NOW + number)


def killed(folder: Path) -> list[Nonce]:
    """Return what a process that starts now finds."""
    journal = NonceJournal(folder, "server")
    found = journal.load()
    journal.close()
    return found


def test_what_was_noted_is_there_after_a_kill(tmp_path: Path) -> None:
    journal = NonceJournal(tmp_path, "server")
    assert journal.load() == []
    for number in range(3):
        journal.note(one(number))
    assert killed(tmp_path) == [one(0), one(1), one(2)]
    journal.begin_saving()
    journal.note(one(3))
    assert max(killed(tmp_path), key=lambda nonce: nonce.use_time) == one(3)
    journal.saved(all_of_them=False)
    assert killed(tmp_path) == [one(3)]
    journal.begin_saving()
    journal.saved(all_of_them=True)
    assert killed(tmp_path) == []
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    journal.close()


def test_a_store_that_fails_loses_nothing_and_the_files_end_empty(tmp_path: Path) -> None:
    journal = NonceJournal(tmp_path, "server")
    journal.load()
    for number in range(4):
        journal.note(one(number))
        journal.begin_saving()  # and the store takes nothing
    assert len(killed(tmp_path)) == 4
    journal.begin_saving()
    journal.saved(all_of_them=True)
    assert killed(tmp_path) == []
    journal.close()


@pytest.mark.parametrize("torn", [b'[1, "non', b"{}", b"[1]", b"\xff", b'["a", 1, 2]', b"null"])
def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path, torn: bytes) -> None:
    journal = NonceJournal(tmp_path, "server")
    journal.load()
    journal.note(one(1))
    journal.close()
    with (tmp_path / ".nonces-server-a").open("ab") as file:
        file.write(torn)
    assert killed(tmp_path) == [one(1)]


def test_a_disk_that_takes_nothing_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal = NonceJournal(tmp_path, "server")
    journal.load()

    def full(_file: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        for number in range(3):
            journal.note(one(number))
    assert caplog.text.count("kept in memory alone: No space left on device") == 1
    journal.close()


async def test_a_read_is_not_answered_again_after_a_kill(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = database.call(apps.add_app, "a", apps.AppType.WEB, None, NOW)
    before = Nonces(database, lambda: NOW, journal=NonceJournal(tmp_path, "server"))
    await before.restore()
    assert before.use(app.id, "a read")  # and the process is killed

    after = Nonces(database, lambda: NOW, journal=NonceJournal(tmp_path, "server"))
    await after.restore()
    assert not after.use(app.id, "a read")
    assert not await after.claim(app.id, "a read")
    assert killed(tmp_path) == []

    def busy(*_given: Any) -> None:
        raise StoreBusyError("full")

    monkeypatch.setattr(apps, "remember_nonces", busy)
    assert after.use(app.id, "another")
    await after.save()
    assert [nonce.nonce for nonce in killed(tmp_path)] == ["another"]


async def test_a_change_that_a_full_disk_let_through_is_not_made_again_after_a_kill(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = database.call(apps.add_app, "a", apps.AppType.WEB, None, NOW)
    before = Nonces(database, lambda: NOW, journal=NonceJournal(tmp_path, "server"))
    await before.restore()

    def full(*_given: Any) -> bool:
        raise StoreFullError("full")

    with monkeypatch.context() as patched:
        patched.setattr(apps, "claim_nonce", full)
        assert await before.claim(app.id, "a change")  # and the process is killed

    after = Nonces(database, lambda: NOW, journal=NonceJournal(tmp_path, "server"))
    await after.restore()
    assert not await after.claim(app.id, "a change")
