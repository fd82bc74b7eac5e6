"""What the locks of `ota` and `release` guard is touched with the lock held, in every work that takes it (`tests.guarded`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ota.errors import MachineError
from ota.order.states import State, Step
from ota.order.task import Task, save_task
from ota.settings import UpdaterSettings
from ota.updater import Updater
from release.repository import Repository
from tests.guarded import FileGuard, Guard
from tests.ota.updater_rig import Kills, UpdaterRig
from wire.ota import OtaEvent, OtaOrder, order_payload

Patch = pytest.MonkeyPatch


def test_the_metadata_of_a_repository(tmp_path: Path, monkeypatch: Patch) -> None:
    repository = Repository(tmp_path / "repository", tmp_path / "keys")
    store = repository.store
    guard = FileGuard(store.folder / ".lock", monkeypatch)
    guard.calls(store, "published", "staged", "stage", "write")
    package = tmp_path / "package"
    package.write_bytes(b"package")
    guard.check(
        repository.create, lambda: repository.add(package, "p", "1.1.0"),
        lambda: repository.edit_terms("p", "1.1.0", lambda terms: replace(terms, channels=("x",))),
        lambda: repository.change_keys("timestamp", 1), repository.sign, repository.publish, repository.refresh,
    )  # fmt: skip


ORDER = OtaOrder("77", "1.1.0", "1.0.0", "http://127.0.0.1:9/p", 5, "0" * 32)


@pytest.fixture
def rig(tmp_path: Path) -> UpdaterRig:
    settings = UpdaterSettings(
        "p", "http://127.0.0.1:9", tmp_path / "root.json", tmp_path / "state", confirm_timeout=120.0
    )
    settings.state_dir.mkdir()
    return UpdaterRig(settings, Kills())


def of_task(rig: UpdaterRig, task: Task, monkeypatch: Patch) -> tuple[Updater, Guard]:
    """Return an updater whose last task is ``task``, and the guard in its gate's place."""
    save_task(rig.settings.state_dir, task)
    updater = rig.start()
    return updater, Guard(updater, "_gate", monkeypatch)


async def test_an_order_and_its_cancelling(rig: UpdaterRig, monkeypatch: Patch) -> None:
    updater, guard = of_task(rig, Task.taken(ORDER), monkeypatch)
    monkeypatch.setattr("ota.updater.CANCEL_PATIENCE", 0)
    guard.calls(updater, "_take").calls(updater._effort, "cancel")
    await guard.check_tasks(
        lambda: updater.take_order(order_payload(ORDER)), lambda: updater.cancel("77")
    )


async def test_what_a_start_finds_and_what_a_failure_leaves(
    rig: UpdaterRig, monkeypatch: Patch
) -> None:
    updater, guard = of_task(rig, Task.taken(ORDER), monkeypatch)
    guard.calls(updater, "_carry_out").calls(updater._record, "settle", "fail")
    await guard.check_tasks(updater._recover, lambda: updater._give_up(MachineError("why")))
    assert guard.within == ["fail", "settle"]


async def test_a_final_report_that_is_made_again(rig: UpdaterRig, monkeypatch: Patch) -> None:
    updater, guard = of_task(rig, Task.taken(ORDER).failed(MachineError("why")), monkeypatch)
    monkeypatch.setattr("ota.updater.RETRY_SECONDS", 0)
    made, settle = asyncio.Event(), updater._record.settle

    async def settled() -> None:
        await settle()
        made.set()

    monkeypatch.setattr(updater._record, "settle", settled)
    guard.calls(updater._record, "settle")

    async def until_made() -> None:
        running = asyncio.create_task(updater._carry_out_orders())
        await made.wait()
        running.cancel()
        await asyncio.wait([running])

    await guard.check_tasks(until_made)


async def test_a_repair(rig: UpdaterRig, monkeypatch: Patch) -> None:
    installed = replace(
        Task.taken(ORDER), state=State.SUCCESS, step=Step.DONE, event=OtaEvent.INSTALLED
    )
    updater, guard = of_task(rig, installed, monkeypatch)
    guard.calls(updater._record, "save")
    await guard.check_tasks(updater._repair)


async def test_the_end_of_a_trial(rig: UpdaterRig, monkeypatch: Patch) -> None:
    updater, guard = of_task(rig, Task.taken(ORDER), monkeypatch)
    trial = updater._trial
    trial._over.clear()
    for name in ("confirm", "roll_back"):
        monkeypatch.setattr(trial, name, nothing_named)
    guard.calls(trial, "confirm", "roll_back")
    await guard.check_tasks(updater.confirm, lambda: updater.fail_trial("why"))


async def nothing_named(*_words: object, **_named: object) -> None:
    """Do nothing, whatever is said."""
