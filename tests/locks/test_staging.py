"""What the locks of the cloud guard is touched with the lock held, in every work that takes it (`tests.guarded`)."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest.mock import MagicMock, Mock

import pytest
from sqlalchemy import make_url

from staging import backup, restoring, server, taken_back
from staging.bulk_jobs import Jobs
from staging.commands import apt_repositories
from staging.commands.runs import _Turn
from staging.data_dir import DataDir, locked
from staging.erasing import Eraser
from staging.errors import StagingError
from staging.fleet import run as fleet
from staging.fleet.figures import Figures
from staging.gateway.control_history import ControlHistory, Noted
from staging.identity import ca, passwords
from staging.identity.rights import Role, Viewer
from staging.labels import export
from staging.log_ins import LogIns
from staging.packages import apt_repository
from staging.recognition import title_lists
from staging.recognition.outcomes import OutcomeLog
from staging.recognition.recogniser import Recogniser
from staging.recognition.title_lists import TitleLists
from staging.releases import tool
from staging.store import Database, bulk
from staging.store.engine import Trouble
from staging.store.known_addresses import Known
from staging.store.outage import Outage
from staging.store.voice_keys import VoiceKeys
from staging.taken_back import TakenBack
from tests.guarded import FileGuard, Guard, nothing
from wire.voice import HeaderStyle, VoiceSegment, pack_frame

Patch = pytest.MonkeyPatch


def test_a_transaction_that_may_begin(monkeypatch: Patch) -> None:
    turn = _Turn()
    guard = Guard(turn, "_lock", monkeypatch).data("_is_taken", "_is_given_up")
    guard.check(turn.take, turn.give_up)


def test_the_lists_of_titles(tmp_path: Path, monkeypatch: Patch) -> None:
    lists = TitleLists(tmp_path)
    lists.set(["小红帽"], product="p")
    guard = Guard(lists, "_lock", monkeypatch).data("_cache")
    guard.check(lambda: lists.index("a", "p"))


class Spells(dict[Any, Any]):
    """What an outage has noted. What there is may be looked at without the lock."""

    guard: Guard

    def __setitem__(self, key: Any, value: Any) -> None:
        self.guard.note("begins")
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        self.guard.note("ends")
        super().__delitem__(key)


def test_the_outages_of_a_store(monkeypatch: Patch) -> None:
    now = SimpleNamespace(seconds=0.0)
    outage = Outage("the store", lambda: now.seconds)
    guard = Guard(outage, "_lock", monkeypatch)
    outage._spells = Spells()
    outage._spells.guard = guard

    def ends() -> None:
        now.seconds += 3600
        with outage.watch(writes=True):
            """The store works again."""

    guard.check(lambda: outage.note(Trouble.BUSY, "many ask"), ends)
    assert not outage._spells


def test_the_keys_of_voice(tmp_path: Path, monkeypatch: Patch) -> None:
    keys = VoiceKeys(tmp_path / "keys.sqlite")
    frame = pack_frame(b"sound", HeaderStyle.LENGTH32, 8000)
    value = VoiceSegment(7, 0, 8000, eof=False, voice_data=frame).to_json()
    sealed = keys.seal(1, value)
    guard = Guard(keys, "_lock", monkeypatch).data("_file", "_open")
    mark = [bytes(16)]
    guard.check(
        lambda: keys.seal(1, VoiceSegment(7, 1, 8000, eof=True, voice_data=frame).to_json()),
        lambda: keys.opened(sealed), lambda: keys.note_going([(mark[0], 1)]), keys.going,
        lambda: keys.spare([(mark[0], 1)]), lambda: keys.leave(mark), lambda: keys.forget(mark),
        keys.rewrite, lambda: keys.keep(mark), keys.close,
    )  # fmt: skip


async def test_an_order_to_erase(tmp_path: Path, monkeypatch: Patch) -> None:
    database: Any = SimpleNamespace(read=nothing, settle_keys=nothing, is_file=True)
    eraser = Eraser(database, OutcomeLog(tmp_path), lambda: 1)
    guard = Guard(eraser, "_one", monkeypatch).calls(database, "read", "settle_keys")
    await guard.check_tasks(eraser.rest)


async def test_the_start_of_a_recogniser(tmp_path: Path, monkeypatch: Patch) -> None:
    recogniser = Recogniser(tmp_path)
    guard = Guard(recogniser, "_starting", monkeypatch)
    monkeypatch.setattr(recogniser, "_start", nothing)
    guard.calls(recogniser, "_start")
    await guard.check_tasks(recogniser._ready)


async def test_the_values_of_control_requests(monkeypatch: Patch) -> None:
    database: Any = SimpleNamespace(write=nothing)
    history = ControlHistory(database)
    history.note(Noted(1, "volume", {}, "3", 5))
    guard = Guard(history, "_saving", monkeypatch).calls(database, "write")
    await guard.check_tasks(history.save)


async def test_a_line_to_a_server(monkeypatch: Patch) -> None:
    from staging.store import pipeline

    reader = pipeline.PostgresqlReader(make_url("postgresql://nobody@127.0.0.1/none"))
    guard = Guard(reader, "_opening", monkeypatch)
    monkeypatch.setattr(pipeline, "_connect", nothing)
    guard.calls(pipeline, "_connect")
    await guard.check_tasks(reader._open)


async def unheard(_name: str, _value: object) -> None:
    """A change that nobody is told of."""


async def test_the_checks_of_passwords(monkeypatch: Patch) -> None:
    async def read(*_words: object) -> Known:
        return Known(None, None)

    log_ins = LogIns()
    guard = Guard(log_ins, "_turn", monkeypatch)
    monkeypatch.setattr(passwords, "matches", lambda _password, _stored: False)
    guard.calls(passwords, "matches")
    await guard.check_tasks(
        lambda: log_ins.check(Mock(read=read), lambda: 5, "me", "x", "192.0.2.1")
    )


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data").create()


def test_a_backup_beside_a_change_of_metadata(data: DataDir, monkeypatch: Patch) -> None:
    Database(data.database).close()
    guard = FileGuard(data.root / ".tuf.lock", monkeypatch).calls(backup, "_write")
    guard.check(lambda: backup.make(data, data.database, data.root.parent / "saved.tar", 0))


def test_a_backup_that_is_being_written(data: DataDir, monkeypatch: Patch) -> None:
    """Another one removes what a broken-off one has left, and not this."""

    def among(*_words: object) -> NoReturn:
        with (
            pytest.raises(StagingError, match="x"),
            locked(next(data.root.parent.glob(f"{backup.BEGUN}*")), "x", timeout=0),
        ):
            """It is held."""
        raise StoppedError

    monkeypatch.setattr("staging.backup.copies.copy_out", among)
    with pytest.raises(StoppedError):
        backup.make(data, data.database, data.root.parent / "saved.tar", 0)


def test_what_a_backup_left_is_removed_and_one_that_is_being_written_is_not(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    left = tmp_path / f"{backup.BEGUN}x"
    left.mkdir()
    with locked(left, "x"):
        backup._sweep(tmp_path)
        assert left.is_dir()
    guard = FileGuard(left, monkeypatch).calls(shutil, "rmtree")
    guard.check(lambda: backup._sweep(tmp_path))
    assert not left.exists()


def test_a_restoring_keeps_servers_out(data: DataDir, monkeypatch: Patch) -> None:
    def stop(*_words: object) -> NoReturn:
        raise StoppedError

    monkeypatch.setattr(restoring, "_unpack", stop)
    guard = FileGuard(data.root / ".serve.lock", monkeypatch).calls(
        restoring, "_working", "_unpack"
    )

    def work() -> None:
        with pytest.raises(StoppedError):
            restoring.restore(data, data.database, Path(__file__), Mock())

    guard.check(work)


def test_one_publishes_debian_packages(data: DataDir, monkeypatch: Patch) -> None:
    monkeypatch.setattr(apt_repositories, "data_of", lambda _options: data)
    made = Mock(add=lambda _debs: [], publish=lambda *_words, **_named: [])
    monkeypatch.setattr(apt_repository, "AptRepository", lambda *_words: made)
    monkeypatch.setattr("staging.packages.signer.Signer", MagicMock())
    guard = FileGuard(data.root / "apt.lock", monkeypatch).calls(made, "add", "publish")
    options: Any = Mock(valid_days=None, folder=Path("/x"), url="", suite="s")
    guard.check(lambda: apt_repositories._publish(options))


class StoppedError(Exception):
    """The work went as far as it is looked at."""


def test_the_making_of_certificates(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(ca, "_is_operators", lambda _paths: True)
    monkeypatch.setattr(ca, "_check_operators", lambda _paths, _names, _now: None)
    guard = FileGuard(tmp_path / ".lock", monkeypatch).calls(
        ca, "_is_operators", "_check_operators"
    )
    guard.check(lambda: ca.ensure(tmp_path, ()))


def test_the_change_of_a_list_of_titles(tmp_path: Path, monkeypatch: Patch) -> None:
    lists = TitleLists(tmp_path)
    guard = FileGuard(tmp_path / title_lists.FOLDER, monkeypatch)
    guard.calls(title_lists, "write_atomically")
    guard.check(lambda: lists.set(["小红帽"], product="p"))


def test_the_tool_of_releases(data: DataDir, monkeypatch: Patch) -> None:
    answer = b'{"path": "targets/p/a", "size": 5, "md5": "m", "sha256": "s"}'
    (data.tuf / "targets/p").mkdir(parents=True)
    package = data.tuf / "targets/p/a"
    package.write_bytes(b"12345")
    monkeypatch.setattr(tool, "_run", lambda _words: answer)
    guard = FileGuard(data.root / ".tuf.lock", monkeypatch).calls(tool, "_run")
    guard.check(
        lambda: tool.ensure_repository(data), lambda: tool.refresh(data), lambda: tool.add(data, package, "p", "1.0"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("worker", "lock", "work"), [("", ".serve.lock", "_serve"), ("b", ".worker-b.lock", "_work")]
)
def test_one_server_of_a_folder_and_one_worker_of_a_name(
    data: DataDir, monkeypatch: Patch, worker: str, lock: str, work: str
) -> None:
    monkeypatch.setattr(server, "_prepare_process", lambda: None)
    monkeypatch.setattr(server, "check_paho", lambda: None)
    monkeypatch.setattr(server, work, nothing)
    guard = FileGuard(data.root / lock, monkeypatch).calls(server, work)
    options = server.ServeOptions(
        data, data.database, "127.0.0.1", 0, 0, legacy_tls=False, worker=worker
    )
    guard.check(lambda: server.run(options, lambda _endpoints: None))


def test_the_journal_of_what_is_taken_back(data: DataDir, monkeypatch: Patch) -> None:
    journal = TakenBack(data)
    monkeypatch.setattr(taken_back, "PRUNE_BYTES", 0)
    guard = FileGuard(data.root / ".taken-back.lock", monkeypatch)
    guard.calls(taken_back, "_is_torn", "read", "write_atomically")
    guard.check(lambda: journal.append([{"kind": "x"}]), lambda: journal.prune(5))


def test_an_export_of_labels(tmp_path: Path, monkeypatch: Patch) -> None:
    def stop(*_words: object) -> NoReturn:
        raise StoppedError

    monkeypatch.setattr(export, "_begin", stop)
    guard = FileGuard(tmp_path / ".export.lock", monkeypatch).calls(export, "_begin")

    def work() -> None:
        with pytest.raises(StoppedError):
            export.export(
                Mock(), Mock(), Mock(), export.Wanted(tmp_path, None, None), Mock(), "", 5
            )

    guard.check(work)


class Crowd:
    """Those who are within a gate: each stays until so many have come, and a while longer for those who may not."""

    def __init__(self, expected: int) -> None:
        self._expected, self._now, self.most = expected, 0, 0
        self._full = asyncio.Event()

    async def come(self, *_words: object) -> None:
        self._now += 1
        self.most = max(self.most, self._now)
        if self._now == self._expected:
            self._full.set()
        async with asyncio.timeout(60):
            await self._full.wait()
        for _ in range(100):  # turns of the loop, in which whoever is let in comes
            await asyncio.sleep(0)
        self._now -= 1


async def test_eight_devices_at_once_are_asked_to_give_an_update_up() -> None:
    crowd = Crowd(8)
    judged = [bulk.Judged(number, f"{number:014}", None) for number in range(24)]

    async def read(work: object, *_words: object) -> list[bulk.Judged]:
        return judged if work is bulk.judge else []

    jobs = Jobs(Mock(read=read), Mock(cancel_update=crowd.come), lambda: 5, Mock(), list)
    step = bulk.parse_step("cancel", None, [], [])
    outcomes = await jobs._cancel(
        step, [each.device_id for each in judged], Viewer(1, Role.OPERATOR)
    )
    assert [outcome.failure for outcome in outcomes] == [""] * 24
    assert crowd.most == 8


async def test_thirty_two_devices_of_a_fleet_connect_at_once() -> None:
    crowd, figures = Crowd(32), Figures(100, "coap")
    plan: Any = Mock(rate=1e9)
    await fleet._connect(plan, [Mock(connect=crowd.come) for _ in range(100)], figures)
    assert (figures.connected, crowd.most) == (100, 32)
