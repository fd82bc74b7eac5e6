"""What was erased and taken back since a backup is so again when the backup is restored."""

from __future__ import annotations

import errno
import json
import resource
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from staging import backup, restoring, taken_back
from staging.data_dir import DataDir
from staging.errors import RefusedError, StagingError, StoreFullError
from staging.gateway.reports import decide
from staging.identity.rights import Role
from staging.opening import open_store
from staging.restoring import Wanted
from staging.store import (
    Database,
    accounts,
    apps,
    devices,
    effects,
    family,
    grants,
    taken_again,
    utterances,
    voice_ledger,
)
from staging.store.apps import AppType, token_digest
from staging.store.grants import Which
from staging.store.models import AccessToken, Account, App, Device, Erasure
from staging.store.taken_back import lines as noted
from staging.taken_back import TakenBack
from staging.times import now_ms
from wire.voice import HeaderStyle, Segmenter

NOW = 1_790_000_000_000
UUID = "0083000000000a"
FRAME = bytes(range(60, 98))


class Cloud:
    """A data folder with one family, its machine and an app."""

    def __init__(self, root: Path) -> None:
        self.data = DataDir(root).create()
        self.file = root.parent / "saved.tar"
        self.store = open_store(self.data, self.data.database)
        call = self.store.call
        self.device = call(devices.add, UUID, NOW)
        self.account = call(accounts.add, "parent", "hash 1", NOW, Role.TESTER)
        self.app = call(apps.add_app, "a", AppType.WEB, None, NOW)
        self.token, _ = call(apps.issue_token, self.app.id, "parent", NOW)
        call(devices.bind, UUID, self.device.bind_token or "", self.account.id, NOW)
        call(devices.rename, self.device.id, "Mila-s-room", NOW)
        segmenter = Segmenter(7, 8000, HeaderStyle.LENGTH32)
        for _ in range(5):
            segmenter.add(FRAME)
        segments = list(segmenter.finish())
        for segment in segments:
            self.report("voice_control", segment.to_json())
        assert self.hears() == [7]
        TakenBack(self.data).path.unlink()  # it begins here
        self.report("play", "Mila-s-story")

    def report(self, key: str, value: object) -> None:
        wanted = [effects.Wanted(decide(UUID, {key: value}))]
        self.store.call(effects.apply_all, self.device.id, None, wanted, NOW + 1000)

    def back_up(self) -> None:
        backup.make(self.data, self.data.database, self.file, NOW)

    def restore(self, wanted: Wanted | None = None) -> int:
        self.store.close()
        made, _ = restoring.restore(
            self.data, self.data.database, self.file, wanted or Wanted("before")
        )
        self.store = open_store(self.data, self.data.database)
        return made.taken_back

    def one(self, table: Any, number: Any) -> Any:
        return self.store.call(lambda session: session.get(table, number))

    def hears(self) -> list[int]:
        """Return the numbers of the utterances that the history still has with their sound."""
        found, _ = self.store.call(utterances.page, self.device.id, None, 10)
        return [each.id for each in found if each.frames()]

    def has(self, mark: bytes) -> bool:
        return any(mark in each.read_bytes() for each in self.data.root.glob("cloud.sqlite*"))


@pytest.fixture
def cloud(tmp_path: Path) -> Any:
    made = Cloud(tmp_path / "cloud")
    yield made
    made.store.close()


def test_all_that_was_taken_back_since_is_so_again(cloud: Cloud) -> None:
    cloud.back_up()
    call = cloud.store.call
    call(devices.unbind, cloud.device.id, NOW + 2000)
    call(devices.renew_token, UUID, NOW + 3000)
    call(lambda s: accounts.set_password(s, s.get_one(Account, cloud.account.id), "hash 2", NOW))
    call(apps.renew_secret, cloud.app.id, None)
    call(lambda s: accounts.disable(s.get_one(Account, cloud.account.id)))
    after = [cloud.one(*row) for row in ((Device, 1), (Account, 1), (App, 1))]
    assert cloud.restore() > 0
    device, account, app = (cloud.one(*row) for row in ((Device, 1), (Account, 1), (App, 1)))
    for name in ("token", "bind_token", "next_bind_token", "family_since", "barred", "name"):
        assert getattr(device, name) == getattr(after[0], name), name
    assert (account.password, account.status, account.generation) == ("hash 2", "DISABLE", 2)
    assert app.secret == after[2].secret
    token = cloud.one(AccessToken, token_digest(cloud.token))
    assert token.expire_time <= now_ms()
    with pytest.raises(RefusedError):  # the family is gone, and its account locked out
        cloud.store.call(devices.bind, UUID, device.bind_token, 1, NOW)
    assert cloud.hears() == []
    assert not cloud.has(b"Mila-s")
    (receipt,) = cloud.store.call(
        family.waiting
    )  # the other places of the cloud follow at its start
    assert cloud.one(Erasure, receipt).account_id == 1


def test_one_utterance_is_erased_again_and_what_was_done_before_is_not(cloud: Cloud) -> None:
    call = cloud.store.call
    cloud.back_up()
    (entry,), _ = call(voice_ledger.page, cloud.device.id, None, 10)
    made = call(family.erase_entries, cloud.device.id, cloud.account.id, [entry.id], NOW + 2000)
    assert cloud.restore() == 1
    assert cloud.hears() == []
    assert cloud.has(b"Mila-s-story")
    assert cloud.one(Device, 1).name == "Mila-s-room"
    again = cloud.one(Erasure, made.receipt)
    assert (again.entries, again.done_time) == ([entry.id], None)
    assert cloud.restore(Wanted("again")) == 1  # of the same backup, once more


def test_where_the_family_has_not_gone_the_name_that_it_gave_stays(cloud: Cloud) -> None:
    cloud.back_up()
    renewed = cloud.store.call(devices.renew_token, UUID, NOW + 3000)
    assert cloud.restore() == 1
    restored = cloud.one(Device, 1)
    assert (restored.token, restored.name) == (renewed.token, "Mila-s-room")


def test_tokens_that_were_revoked_are_unknown_and_a_family_that_came_back_stays(
    cloud: Cloud,
) -> None:
    call = cloud.store.call
    call(devices.unbind, cloud.device.id, NOW + 2000)
    token = str(cloud.one(Device, 1).next_bind_token)
    call(devices.bind, UUID, token, cloud.account.id, NOW + 3000)
    cloud.back_up()
    call(grants.revoke, Which(app_id=cloud.app.id))
    assert cloud.restore() == 1
    assert cloud.one(AccessToken, token_digest(cloud.token)) is None
    assert cloud.one(Device, 1).bind_token == token


def test_where_nobody_knows_what_was_taken_back_somebody_has_to_say_so(
    cloud: Cloud, tmp_path: Path
) -> None:
    cloud.back_up()
    cloud.store.call(grants.revoke, Which(app_id=cloud.app.id))
    journal = cloud.data.root / taken_back.FILE_NAME
    assert journal.stat().st_mode & 0o777 == 0o600
    kept = journal.rename(tmp_path / "kept.jsonl")
    for wanted in (Wanted("a"), Wanted("a", journal=tmp_path / "none")):
        with pytest.raises(StagingError, match="--journal"):
            cloud.restore(wanted)
        cloud.store = open_store(cloud.data, cloud.data.database)
    assert cloud.restore(Wanted("b", forgets=True)) == 0
    assert cloud.one(AccessToken, token_digest(cloud.token)) is not None
    assert cloud.restore(Wanted("c", journal=kept)) == 1
    assert cloud.one(AccessToken, token_digest(cloud.token)) is None
    assert cloud.restore(Wanted("d")) == 1  # the journal is here again


def test_a_change_that_cannot_be_noted_is_refused_and_a_failed_one_leaves_no_line(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(session: Any) -> None:
        grants.revoke(session, Which(app_id=cloud.app.id))
        raise StagingError("after all not")

    with pytest.raises(StagingError, match="after all not"):
        cloud.store.call(fail)
    assert not (cloud.data.root / taken_back.FILE_NAME).exists()

    def full(_lines: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cloud.store, "journal", full)
    with pytest.raises(StoreFullError, match="cannot be noted"):
        cloud.store.call(grants.revoke, Which(app_id=cloud.app.id))
    assert cloud.one(AccessToken, token_digest(cloud.token)) is not None


async def test_of_writes_that_are_committed_together_the_failed_ones_leave_no_line(
    cloud: Cloud,
) -> None:
    def fail(session: Any) -> None:
        devices.renew_token(session, UUID, NOW)
        session.flush()
        raise StagingError("after all not")

    with pytest.raises(StagingError, match="after all not"):
        await cloud.store.write(fail)
    await cloud.store.write(grants.revoke, Which(app_id=cloud.app.id))
    lines = taken_back.read(cloud.data.root / taken_back.FILE_NAME)
    assert [line["kind"] for line in lines] == ["tokens"]


def test_damaged_lines_cost_themselves_and_old_ones_go(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = TakenBack(cloud.data)
    cloud.back_up()
    with journal.path.open("ab") as file:
        file.write(b'{"at": 1, "kind": "device"}\n\xff\0{}\n[1]\n{"at": 5, "kind": "tok')
    cloud.store.call(grants.revoke, Which(app_id=cloud.app.id))
    assert cloud.restore() == 1
    monkeypatch.setattr(taken_back, "PRUNE_BYTES", 0)
    journal.prune(now_ms())
    kinds = [json.loads(line)["kind"] for line in journal.path.read_text().splitlines()]
    assert kinds == ["backup", "tokens"]


def test_a_backup_of_an_older_version_is_judged_by_its_time() -> None:
    lines = [{"at": at, "kind": "tokens"} for at in (NOW - 1000, NOW, NOW + 1000)]
    assert taken_back.since(lines, None, "2026-09-21T14:13:20Z") == lines[1:]
    assert taken_back.since([], None, "2026-09-21T14:13:20Z") is None
    assert taken_back.since(lines, "f" * 16, "2026-09-21T14:13:20Z") is None


def test_lines_about_rows_that_are_not_there_change_nothing(cloud: Cloud) -> None:
    lines: list[dict[str, object]] = [
        {"kind": "unbound", "device": "0083000000000b", "account": "5_1"},
        {"kind": "unbound", "device": UUID, "account": "5_1"},
        {"kind": "tokens", "digests": ["x"], "expired": True},
        {"kind": "app_product", "apikey": "x", "product": "story-machine"},
        {"kind": "strategy", "id": 10**30, "create_time": 1},
        {"kind": "erasure", "device": "0083000000000b", "receipt": "r"},
        {"kind": "of a newer version"},
        {},
    ]

    def work(session: Any) -> tuple[int, int]:
        return taken_again.apply(session, lines, NOW), len(noted(session))

    assert cloud.store.call(work) == (0, 0)
    assert cloud.hears() == [7]


def test_a_restored_copy_is_one_file(cloud: Cloud) -> None:
    cloud.back_up()
    cloud.store.call(grants.revoke, Which(app_id=cloud.app.id))
    cloud.restore()
    assert isinstance(cloud.store, Database)
    with sqlite3.connect(cloud.data.database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_disk_that_takes_a_part_of_a_line_is_told_and_the_next_line_is_whole(
    tmp_path: Path,
) -> None:
    """A raw write returns how much was taken, and raises nothing."""
    journal = TakenBack(DataDir(tmp_path))
    journal.append([{"kind": "first"}])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 10, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            journal.append([{"kind": "second"}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    journal.append([{"kind": "third"}])
    assert [line["kind"] for line in taken_back.read(journal.path)] == ["first", "third"]
