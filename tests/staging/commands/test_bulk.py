"""Steps for many devices as commands, against a server's command socket in this process.

Tests staging.bulk_works too.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from staging.bulk_jobs import Job, Jobs
from staging.bulk_works import BulkWorks
from staging.commands import bulk, cli
from staging.commands.command_socket import open_command_socket
from staging.data_dir import DataDir
from staging.identity.rights import Role
from staging.opening import open_store
from staging.store import Database, accounts, devices, product_setup, products, releases, tags
from staging.store.bulk import Action, Outcome, Why
from staging.store.models import UNVERIFIED, Binding
from staging.store.releases import Target
from tests.staging.test_bulk_jobs import Hands

A, B, C, D = (digit * 14 for digit in "abcd")


class Serving:
    """The server's side in a thread of its own."""

    def __init__(self, data: Path) -> None:
        self._data = DataDir(data).create()
        self._ready = threading.Event()
        self.told: list[tuple[str, str, str]] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(60)

    def _tell(self, job: Job, outcomes: Sequence[Outcome]) -> None:
        self.told += [(job.source.value, job.who, each.uuid) for each in outcomes if each.done]

    async def _serve(self) -> None:
        database = open_store(self._data, self._data.database)
        database.call(self._make)
        self.hands = Hands(database)
        jobs = Jobs(database, self.hands, lambda: 1000, self._tell, list)
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with open_command_socket(self._data.root, BulkWorks(jobs, database).works):
            self._ready.set()
            await self._stop.wait()
        await jobs.close()
        database.close()

    def _make(self, session: Session) -> None:
        made = [devices.add(session, uuid, 0) for uuid in (A, B, C, D)]
        for name, role in (("ada", Role.OPERATOR), ("tom", Role.TESTER), ("mum", Role.PARENT)):
            accounts.add(session, name, "scrypt$", 0, role)
        mum = accounts.one(session, "mum")
        session.add(Binding(device_id=made[2].id, account_id=mum.id, create_time=1))
        tags.change(session, made[0].id, ("lab",), ())
        tags.change(session, made[2].id, ("lab",), ())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bulk") / "cloud"


@pytest.fixture(scope="module")
def shared(data: Path) -> Iterator[Serving]:
    made = Serving(data)
    yield made
    made.stop()


@pytest.fixture
def serving(shared: Serving, monkeypatch: pytest.MonkeyPatch) -> Serving:
    monkeypatch.setattr(bulk, "LOOK_SECONDS", 0.01)
    shared.told.clear()
    return shared


def run(data: Path, *words: str) -> int:
    return cli.main(["device", "bulk", *words, "--data", str(data)])


def owners(data: Path) -> dict[str, str | None]:
    database = Database(DataDir(data).database)
    views = database.call(devices.views)
    found = {view.device.uuid: view.account_uuid for view in views}
    database.close()
    return found


def test_a_preview_does_nothing_and_yes_does_it(
    serving: Serving, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("bind", "--account", "ada", "--tag", "lab")
    assert run(data, *words) == 0
    assert capsys.readouterr().out.splitlines() == [
        "bind: 1 of 2 devices take it",
        f"  left out, bound to another account: 1 ({C})",
        "nothing was done: the same with --yes does it",
    ]
    assert owners(data)[A] is None
    assert run(data, *words, "--yes") == 0
    assert "done: 1 of 1" in capsys.readouterr().out
    assert owners(data)[A] is not None
    assert [(source, uuid) for source, _, uuid in serving.told] == [("command", A)]
    assert run(data, *words, "--yes") == 0
    assert "left out, have it already: 1" in capsys.readouterr().out


def test_named_devices_and_tags(
    serving: Serving, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change = ("--add", "x y", "--remove", "other", "--yes", "--json")
    assert run(data, "tag", B.upper(), C, B, *change, "--account", "tom") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["preview"]["total"], told["preview"]["leftOut"][0]["why"]) == (2, "gone")
    assert (told["job"]["total"], told["job"]["done"], told["job"]["failures"]) == (1, 1, 0)
    assert [uuid for _, _, uuid in serving.told] == [B]


@pytest.mark.usefixtures("serving")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("bind", "--account", "ada"), "expected uuids, or filters, or --all"),
        (("bind", A, "--all", "--account", "ada"), "expected uuids, or filters, or --all"),
        (("bind", "--all", "--account", "tom"), "bound by operators alone"),
        (("bind", "--all", "--account", "mum"), "account mum: a family's"),
        (("bind", "--all", "--account", "eve"), "account eve: there is none"),
        (("order", "--presence", "asleep", "--account", "ada"), "presence"),
        (("tag", A, "--account", "ada"), "tags"),
        (("verify", A, "--to", "9.9", "--account", "ada"), "9.9"),
    ],
)
def test_what_is_wrong_is_named(
    data: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    assert run(data, *words, "--yes") == 1
    complained = capsys.readouterr().err
    assert told in complained
    assert "bulk." not in complained


@pytest.mark.usefixtures("serving")
def test_a_version_to_verify_is_found_whatever_its_product_is(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = Database(DataDir(data).database)
    lamp = database.call(product_setup.add_product, "lamp", 0, test_devices=0).id
    first = database.call(products.default_product, 0).id
    for product, version in ((lamp, "3.0"), (first, "3.0"), (lamp, "3.1")):
        target = Target(f"{product}-{version}.tar", 1, "0" * 32, "0" * 64)
        database.call(
            releases.add_package, version, target, "", 0, product_id=product, status=UNVERIFIED
        )
    database.close()
    assert run(data, "verify", A, "--to", "3.1", "--account", "ada") == 0
    assert "left out, of another product: 1" in capsys.readouterr().out
    assert run(data, "verify", A, "--to", "3.0", "--account", "ada") == 1
    assert "version 3.0: lamp, story-machine have it; say --product" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--tag", "--search", "--batch", "--owner"])
def test_an_empty_filter_is_not_every_device(
    tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["device", "bulk", "order", "--account", "a", "--yes", "--data", str(tmp_path)]
    assert cli.main([*words, "--presence", "online", option, " "]) == 1
    assert f'{option}: got "", expected what to look for, or --all' in capsys.readouterr().err


def test_without_a_server_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "cancel", "--all", "--account", "ada") == 1
    assert "no story-cloud serves" in capsys.readouterr().err


def test_every_step_and_every_reason_has_words() -> None:
    assert set(bulk.STEPS) == {str(action) for action in Action}
    assert set(bulk.WHY) == {str(why) for why in Why}
