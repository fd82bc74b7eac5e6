"""Commands that the running server carries out: which, what they print, and what happens where it does not.

Tests staging.commands.runs too.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import Mock

import pytest
from sqlalchemy.orm import Session

from staging.commands import at_server, audited, cli, command_socket, device_lists, runs
from staging.commands.command_socket import Work, open_command_socket
from staging.commands.common import DATABASE_VARIABLE, LANGUAGE_VARIABLE
from staging.commands.runs import OWN, Runs
from staging.data_dir import DataDir
from staging.errors import StagingError
from staging.opening import open_store
from staging.store import Database
from staging.store.engine import Trouble
from staging.store.outage import Outage
from tests.staging.commands.test_audited import commands
from wire.errors import FieldError

UUID = "01a800000072af"


@pytest.fixture(autouse=True)
def _no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATABASE_VARIABLE, raising=False)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    data = DataDir(tmp_path)
    data.create()
    opened = open_store(data, data.database)
    yield opened
    opened.close()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def served(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command beside a server; returns its exit code and what it printed."""

    def run(*words: str, connected: tuple[int, ...] = (), **works: Work) -> tuple[int, str, str]:
        async def work() -> int:
            data = DataDir(tmp_path)
            own = Runs(database, data, data.database, lambda: connected)
            async with open_command_socket(tmp_path, works or {at_server.WORK: own.run}):
                return await asyncio.to_thread(cli.main, ["--data", str(tmp_path), *words])

        code = asyncio.run(work())
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def only_there(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have no command run in the command line's own process; returns those that would have."""
    own: list[str] = []

    def refuse(words: Sequence[str]) -> NoReturn:
        own.append(" ".join(words[2:]))
        raise StagingError("in its own process")

    monkeypatch.setattr(cli, "_run_here", refuse)
    return own


async def _other(_: Mapping[str, object]) -> Mapping[str, object]:
    """Serve as a server of another version does."""
    return {"ids": []}


def test_the_table_has_commands_that_there_are_and_none_that_ask_the_server_themselves() -> None:
    every = set(audited.CHANGES) | audited.READS
    assert every >= at_server.ASKED
    files: set[str] = set()
    for parser in commands(cli.build_parser()):
        if parser._defaults["words"] in at_server.ASKED:
            files |= {
                action.option_strings[0] if action.option_strings else action.dest
                for action in parser._actions
                if action.type is Path and action.dest != "data"
            }
    # A file is the command line's, whose folder and rights it knows.
    assert files <= set(at_server.OWN)


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("device list", "device list"),
        ("--json device --data x list --search a", "device list"),
        ("device token renew f", "device token renew"),
        ("alarm webhook list", "alarm webhook list"),
        ("token --app 1 --user u", "token"),
        ("token revoke --user u", "token revoke"),
        ("token revoke --token-file f", None),
        ("token revoke --tok=f", None),
        ("device list --csv f", None),
        ("device list --cs f", None),
        ("device list -h", None),
        ("device list --he", None),
        ("device", None),
        ("device list-all", None),
        ("release add f", None),
        ("serve", None),
        ("--data", None),
        ("", None),
    ],
)
def test_what_is_asked_of_the_server(words: str, asked: str | None) -> None:
    given = cli.given_of(words.split())
    assert (None if given is None else given.asked) == asked


def test_the_server_prints_what_the_command_would(
    served: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads(served("device", "add", "--uuid", UUID, "--json")[1])["uuid"] == UUID
    lines = (
        "device list", "device list --json", "device list --batch none", "device list --presence x",
        "device add --uuid x", "strategy list", "product list", "rollout show 7",
    )  # fmt: skip
    alone = [served(*line.split(), online=_other) for line in lines]
    monkeypatch.setattr(cli, "_run_here", lambda _: pytest.fail("in its own process"))
    assert [served(*line.split()) for line in lines] == alone
    assert served("device", "list", connected=(1,))[1].endswith(" ONLINE\n")


def test_bytes_that_are_no_text_are_the_commands_own_to_refuse(served: Run) -> None:
    told = served("device", "list", "--search", "\udcff", **{at_server.WORK: _other})
    assert told == (
        1,
        "",
        'story-cloud: q: got "\N{REPLACEMENT CHARACTER}", expected 0 to 64 printable characters\n',
    )


def test_what_a_server_changes_is_in_the_audit_log_with_who_typed_it(
    served: Run, only_there: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "=ada")
    assert served("device", "add", "--uuid", UUID)[0] == 0
    assert served("device", "tag", UUID, "--add", "nursery")[0] == 0
    assert served("device", "tag", "f" * 14, "--add", "nursery")[0] == 1
    entries = json.loads(served("audit", "list", "--json")[1])["entries"]
    told = [(e["action"], e["device"]) for e in entries]
    assert told == [("device.tag", UUID), ("device.add", UUID)]
    assert all(e["actor"].endswith("(=ada)") for e in entries)
    assert only_there == []


def test_what_the_audit_log_did_not_take_is_told_to_whoever_typed_it(
    served: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> NoReturn:
        raise StagingError("no room")

    monkeypatch.setattr(audited, "_add", full)
    code, _, told = served("device", "add", "--uuid", UUID)
    assert (code, told) == (0, "story-cloud: it is done, and not in the audit log: no room\n")


def test_what_is_done_is_not_done_again_because_its_answer_is_long(
    served: Run, only_there: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(runs, "ANSWER_LIMIT", 110)
        code, shown, _ = served("device", "add", "--uuid", UUID)
    assert (code, shown, only_there) == (0, f"{runs.TOO_LONG}\n", [])
    assert UUID in served("device", "list")[1]


def test_a_command_does_itself_what_would_keep_the_server_busy_or_is_another_stores(
    served: Run, only_there: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in range(3):
        served("device", "add", "--uuid", f"{number:014x}")
    monkeypatch.setattr(device_lists, "SERVED", 2)
    assert served("device", "list")[0] == 1
    assert served("device", "list", "--search", f"{1:014x}")[0] == 0
    served("device", "list", "--search")
    served("device", "list", "--database", f"sqlite:///{tmp_path}/other.sqlite")
    monkeypatch.setenv(DATABASE_VARIABLE, "nonsense")
    served("strategy", "list")
    monkeypatch.delenv(DATABASE_VARIABLE)
    monkeypatch.setattr(runs, "ANSWER_LIMIT", 200)
    served("product", "list", "--json")
    served("device", "tag", *(["0" * 14] * 1200), "--add", "t")
    assert [words.partition(" --s")[0][:20] for words in only_there] == [
        "device list", "device list", "device list --databa", "strategy list",
        "product list --json", "device tag 000000000",
    ]  # fmt: skip


def test_nobody_does_twice_what_the_server_may_have_done(
    served: Run, only_there: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_socket, "WORK_DEADLINE", 0.01)

    async def wait(_: Mapping[str, object]) -> Mapping[str, object]:
        await asyncio.Event().wait()
        return {}

    code, _, told = served("device", "add", run=wait)
    assert (code, "look whether it was done" in told, only_there) == (1, True, [])
    # What only reads is read once more.
    served("device", "list", run=wait)
    assert only_there == ["device list"]


def test_a_store_that_is_too_slow_does_not_do_later_what_was_told_to_have_failed(
    served: Run, only_there: list[str], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, free = threading.Event(), threading.Event()
    monkeypatch.setattr(runs, "STORE_DEADLINE", 0.01)
    holding = threading.Thread(target=lambda: asyncio.run(_hold(database, held, free)))
    holding.start()
    try:
        assert held.wait(30)
        code, _, told = served("device", "add", "--uuid", UUID)
        assert (code, "the store did not answer" in told, only_there) == (1, True, [])
    finally:
        free.set()
        holding.join(30)
    monkeypatch.undo()
    assert served("device", "list")[1] == "no devices\n"


@pytest.mark.parametrize(
    ("language", "words"), [("zh", "数据库的磁盘写不进去"), ("en", "the disk is full")]
)
def test_trouble_of_the_servers_store_is_told_in_the_language_of_who_asks(
    served: Run, database: Database, monkeypatch: pytest.MonkeyPatch, language: str, words: str
) -> None:
    outage = Outage("the store")

    def full(*_: object) -> NoReturn:
        raise outage.note(Trouble.FULL, "the disk is full")

    monkeypatch.setenv(LANGUAGE_VARIABLE, language)
    monkeypatch.setattr(database, "write", full)
    code, _, told = served("device", "add", "--uuid", UUID)
    assert code == 1
    assert words in told
    assert ("数据库" in told) == (language == "zh")


async def _hold(database: Database, held: threading.Event, free: threading.Event) -> None:
    """Keep the store's writer busy."""

    def hold(_: Session) -> None:
        held.set()
        free.wait(30)

    await database.write(hold)


class _Late:
    """What a transaction brings: it begins at once, and ends after ``late`` looks."""

    def __init__(self, work: Callable[[None], str], late: int) -> None:
        self._work, self._late = work, late
        self._told: list[str] = []

    def result(self, _seconds: float) -> str:
        self._told = self._told or [self._work(None)]
        if self._late:
            self._late -= 1
            raise TimeoutError
        return self._told[0]


def opened_late(monkeypatch: pytest.MonkeyPatch, late: int) -> runs._Opened:
    monkeypatch.setattr(
        "staging.commands.runs.asyncio.run_coroutine_threadsafe", lambda work, _: _Late(work, late)
    )
    opened = object.__new__(runs._Opened)
    vars(opened).update(_loop=None, _begin=lambda work: work)
    return opened


def test_a_transaction_that_began_in_time_and_ends_late_is_told_as_it_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert opened_late(monkeypatch, 1).call(lambda _: "done") == "done"


def test_nobody_says_that_a_transaction_failed_which_has_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(StagingError, match="look whether it was done"):
        opened_late(monkeypatch, 2).call(lambda _: "done")


async def test_a_request_that_is_none_is_refused_and_a_command_that_is_not_the_servers_is_not_run(
    database: Database, tmp_path: Path
) -> None:
    data = DataDir(tmp_path)
    own = Runs(database, data, data.database, tuple)
    with pytest.raises(FieldError, match="words"):
        await own.run({"words": "device list", "database": "", "user": "u"})
    for line in ("backup x", "device list --csv x", "account add a --password-file x", "device"):
        assert await own.run({"words": line.split(), "database": "", "user": "u"}) == OWN
    assert not (tmp_path / "x").exists()


def test_a_command_waits_twenty_seconds_for_its_turn_and_eight_more_for_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []

    def begin(work: Callable[..., Any]) -> None:
        """Begin the transaction, which has no end."""
        with pytest.raises(ZeroDivisionError):
            work(Mock())

    def result(seconds: float) -> None:
        waited.append(seconds)
        raise TimeoutError

    monkeypatch.setattr(
        asyncio, "run_coroutine_threadsafe", lambda _work, _loop: Mock(result=result)
    )
    opened = runs._Opened(Mock(write=begin), Mock(), reads=False)
    with pytest.raises(StagingError, match="look whether it was done"):
        opened.call(lambda _session: 1 // 0)
    assert waited == [20.0, 8.0]
