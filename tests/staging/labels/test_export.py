"""A batch is handed out once, whole, closed to others; what was killed is ended by the same command."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from staging.data_dir import Endpoints
from staging.errors import NotFoundError, StagingError
from staging.labels import export as exporting
from staging.labels.export import Done, Wanted, export
from staging.store import Database, issue, product_setup, products
from tests.agent.first.parts import profile
from wire.profile import parse_profile

pytestmark = pytest.mark.one_database
COUNT = 30
AUTHORITY = profile().rsa_ca_crt
WHERE = Endpoints("https://cloud.example:8080", "cloud.example", 9001)


class Bench:
    def __init__(self, database: Database, root: Path) -> None:
        self.database, self.root = database, root
        self.product = database.call(products.default_product, 1)
        self.batch, self.devices = database.call(
            product_setup.add_batch, self.product.id, "2026-11", COUNT, 1
        )
        self.told: list[tuple[int, int]] = []

    def run(self, folder: str = "out", *, again: bool = False, now: int = 1000) -> Done:
        path = self.root / folder
        wanted = Wanted(path, path / "all.csv", path / "labels.pdf", again)
        return export(
            self.database, self.product, self.batch, wanted, WHERE, AUTHORITY, now,
            lambda done, whole: self.told.append((done, whole)),
        )  # fmt: skip

    def counts(self) -> tuple[int, int, int | None]:
        return self.database.call(issue.counts, self.batch.id)

    def check(self, folder: str = "out") -> None:
        """Check that every device has its profile, its line and nothing else is there."""
        path = self.root / folder
        with (path / "all.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["uuid"] for row in rows] == [device.uuid for device in self.devices]
        for row, device in zip(rows, self.devices, strict=True):
            data = (path / row["profile"]).read_bytes()
            found = parse_profile(data)
            assert (found.uuid, found.token, found.bind_token) == (
                device.uuid, device.token, device.bind_token,
            )  # fmt: skip
            assert (found.server_addr, found.coap_port) == ("cloud.example", 9001)
            assert hashlib.sha256(data).hexdigest() == row["sha256"]
            assert device.token not in str(row)
        names = {entry.name for entry in path.iterdir()}
        assert names == {f"{d.uuid}.json" for d in self.devices} | {
            "all.csv",
            "labels.pdf",
            ".export.lock",
        }
        assert {entry.stat().st_mode & 0o777 for entry in path.iterdir()} == {0o600}
        assert path.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Bench:
    return Bench(database, tmp_path)


def test_all_of_it_is_there_and_marked(bench: Bench) -> None:
    assert bench.counts() == (COUNT, 0, None)
    assert bench.run() == Done(COUNT, 0, resumed=False)
    bench.check()
    assert bench.counts() == (COUNT, COUNT, 1000)
    assert bench.told == [(COUNT, COUNT)]


def test_a_second_time_needs_again_and_new_devices_do_not(bench: Bench) -> None:
    bench.run()
    with pytest.raises(
        StagingError, match=r"all 30 devices were issued, the last on 1970.*--again"
    ):
        bench.run("second")
    assert not list((bench.root / "second").glob("*.json"))
    assert bench.run("third", again=True, now=2000) == Done(COUNT, 0, resumed=False)
    bench.check("third")

    def forget(session: object) -> None:
        from sqlalchemy import update

        from staging.store.models import Device

        wanted = [device.id for device in bench.devices[:3]]
        session.execute(update(Device).where(Device.id.in_(wanted)).values(issue_time=None))  # type: ignore[attr-defined]

    bench.database.call(forget)
    assert bench.run("fourth", now=3000) == Done(3, COUNT - 3, resumed=False)


class KilledError(BaseException):
    """SIGKILL."""


@pytest.mark.parametrize("again", [0, 1])
@pytest.mark.parametrize("place", ["issue", "profile", "table", "labels", "sync"])
def test_what_was_killed_is_ended_by_the_same_command_without_again(
    bench: Bench,
    place: str,
    again: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if again:
        bench.run("before")

    def kill(*_: object, **__: object) -> None:
        raise KilledError

    def kill_at_the_tenth(work: Callable[..., object]) -> Callable[..., object]:
        count = 0

        def put(*given: object) -> object:
            nonlocal count
            count += 1
            if count == 10:
                kill()
            return work(*given)

        return put

    with monkeypatch.context() as patch:
        match place:
            case "issue":
                patch.setattr(issue, "issue", kill)
            case "profile":
                patch.setattr(exporting, "_put", kill_at_the_tenth(exporting._put))
            case "table":
                patch.setattr(exporting, "_table", kill)
            case "labels":
                patch.setattr(exporting, "sheets", kill)
            case _:
                patch.setattr("os.sync", kill)
        with pytest.raises(KilledError):
            bench.run(again=bool(again), now=2000)
    assert bench.run(now=3000) == Done(COUNT, 0, resumed=True)
    bench.check()
    assert bench.counts() == (COUNT, COUNT, 2000)


def test_another_batch_does_not_mix_with_what_was_broken_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "_put", full)
        with pytest.raises(OSError, match="No space left"):
            bench.run()
    bench.batch, other = bench.database.call(
        product_setup.add_batch, bench.product.id, "other", 1, 1
    )
    with pytest.raises(StagingError, match="an export of another batch was broken off there"):
        bench.run()
    assert bench.run("elsewhere").issued == len(other)


def test_what_was_handed_out_is_on_the_disk_before_it_counts_as_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = bench.root / "out" / exporting.JOURNAL
    seen: list[tuple[bool, bool]] = []
    monkeypatch.setattr(
        os, "sync", lambda: seen.append((journal.exists(), (bench.root / "out/all.csv").exists()))
    )  # fmt: skip
    bench.run()
    assert seen == [(True, True)]
    assert not journal.exists()


def test_a_batch_that_is_none(bench: Bench) -> None:
    with pytest.raises(NotFoundError, match="batch 2027: product story-machine has none"):
        bench.database.call(issue.find_batch, bench.product, "2027")


@pytest.mark.parametrize(
    ("table", "labels", "told"),
    [
        (".", "labels.pdf", r"--csv .*: not a regular file"),
        ("/dev/null", "labels.pdf", r"--csv /dev/null: not a regular file"),
        ("all.csv", "out", r"--labels .*: not a regular file"),
        ("all.csv", "all.csv", "both are .*, expected two files"),
    ],
)
def test_files_that_cannot_be_written_mark_no_device(
    bench: Bench, table: str, labels: str, told: str
) -> None:
    root = bench.root
    wanted = Wanted(root / "out", root / table, root / labels)
    with pytest.raises(StagingError, match=told):
        export(bench.database, bench.product, bench.batch, wanted, WHERE, AUTHORITY, 1)
    assert bench.counts()[1] == 0
