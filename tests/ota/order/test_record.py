"""The stored task: each change is on disk before its report, and an end is reported once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ota.errors import ContentError
from ota.order.record import TaskRecord, show_transaction
from ota.order.states import State, Step
from ota.order.task import Task, load_task, save_task, task_path
from ota.trust.target import Target
from tests.ota.updater_rig import Kills, Outbox
from wire.ota import OtaEvent, OtaOrder

ORDER = OtaOrder("77", "1.1.0", "1.0.0", "http://h/1.1.0.tar.gz", 10, "0" * 32)
TARGET = Target("p/1.1.0.tar.gz", 10, "a" * 64, "1.1.0", "p")
SWITCHING = Task(ORDER).at(Step.CHECK).at(Step.DOWNLOAD, TARGET).at(Step.INSTALL).at(Step.SWITCH)


def make(folder: Path, task: Task | None, on_trial: str | None = None) -> tuple[TaskRecord, Outbox]:
    if task is not None:
        save_task(folder, task)
    outbox = Outbox(Kills())
    return TaskRecord(folder, folder / "download", outbox, on_trial), outbox


async def test_the_trial_begins_once_on_disk_and_for_the_cloud(tmp_path: Path) -> None:
    record, outbox = make(tmp_path, SWITCHING)
    await record.enter_trial()
    await record.enter_trial()
    task = load_task(tmp_path)
    assert task is not None
    assert (task.state, task.step) == (State.INSTALLED, Step.TRIAL)
    assert outbox.states() == [4]


async def test_a_success_is_stored_and_reported_once(tmp_path: Path) -> None:
    record, outbox = make(tmp_path, SWITCHING.at(Step.TRIAL))
    await record.succeed()
    await record.succeed()
    assert record.unfinished is None
    assert outbox.finals() == [{"transaction": "77", "event": 10}]
    task = load_task(tmp_path)
    assert task is not None
    assert (task.state, task.reported, record.owes_report) == (State.SUCCESS, True, False)


async def test_a_failure_removes_the_download_and_keeps_its_event(tmp_path: Path) -> None:
    record, outbox = make(tmp_path, SWITCHING)
    (tmp_path / "download").mkdir()
    await record.fail(ContentError("wrong hash", "x", OtaEvent.CHECKSUM_FAIL))
    assert not (tmp_path / "download").exists()
    (final,) = outbox.finals()
    assert (final["event"], final["description"]) == (31, "wrong hash: x")


async def test_a_report_that_the_outbox_does_not_take_is_owed(tmp_path: Path) -> None:
    full = True
    taken: list[str | None] = []

    async def report(key: str, value: Mapping[str, object], *, once: str | None = None) -> None:
        assert key
        assert value
        if full:
            raise OSError(28, "No space left on device")
        taken.append(once)

    save_task(tmp_path, SWITCHING)
    record = TaskRecord(tmp_path, tmp_path / "download", report)
    await record.fail(ContentError("wrong hash", "x"))
    assert record.owes_report
    assert TaskRecord(tmp_path, tmp_path / "download", report).owes_report  # after a restart too
    full = False
    await record.settle()
    assert (taken, record.owes_report) == (["77:final"], False)


@pytest.mark.parametrize("succeeds", [True, False])
async def test_a_result_that_cannot_be_stored_is_reported_when_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, succeeds: bool
) -> None:
    """A kill before would repeat the update, after the cloud was told that it failed."""
    record, outbox = make(tmp_path, SWITCHING.at(Step.TRIAL))

    def full(_state: Path, _task: Task) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ota.order.record.save_task", full)
        await (record.succeed() if succeeds else record.fail(ContentError("x", "y")))
        await record.settle()
        assert record.owes_report
        assert outbox.finals() == []
    for _try in range(2):
        await record.settle()
    assert [final["event"] for final in outbox.finals()] == [10 if succeeds else 12]
    task = load_task(tmp_path)
    assert task is not None
    assert (task.state.is_final, task.reported) == (True, True)


async def test_a_report_that_is_not_taken_is_told_once_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faults = ["full", "full", "worn", "worn"]

    async def report(*_: object, **_name: object) -> None:
        raise OSError(faults.pop(0))

    save_task(tmp_path, SWITCHING)
    record = TaskRecord(tmp_path, tmp_path / "download", report)
    await record.fail(ContentError("wrong hash", "x"))
    for _again in range(3):
        await record.settle()
    told = [line for line in caplog.messages if "cannot be stored" in line]
    assert [line.rpartition(" ")[2] for line in told] == ["full", "worn"]
    assert record.owes_report


async def test_a_cloud_that_was_set_up_anew_hears_of_the_end_under_another_name(
    tmp_path: Path,
) -> None:
    record, outbox = make(tmp_path, SWITCHING.at(Step.TRIAL).succeeded())
    await record.settle()
    for _cloud in range(2):
        await record.tell_again()
    assert [final["event"] for final in outbox.finals()] == [10, 10, 10]
    running, silent = make(tmp_path / "other", SWITCHING)
    await running.tell_again()
    assert silent.finals() == []


@pytest.mark.parametrize("succeeds", [True, False])
async def test_the_end_of_a_trial_whose_task_was_damaged_is_reported(
    tmp_path: Path, *, succeeds: bool
) -> None:
    path = task_path(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    record, outbox = make(tmp_path, None, "77")
    await record.enter_trial()
    await (record.succeed() if succeeds else record.fail(ContentError("given up", "no chime")))
    assert [final["event"] for final in outbox.finals()] == [10 if succeeds else 12]


async def test_without_a_task_nothing_is_reported(tmp_path: Path) -> None:
    record, outbox = make(tmp_path, None)
    await record.succeed()
    await record.fail(ContentError("x", "y"))
    await record.tell_again()
    await record.report_final()
    assert (record.task, record.owes_report, outbox.taken) == (None, False, [])


async def test_an_unfinished_update_has_no_end_to_tell_again(tmp_path: Path) -> None:
    record, outbox = make(tmp_path, SWITCHING)
    await record.tell_again()
    assert (record.unfinished, outbox.taken) == (SWITCHING, [])


async def test_a_report_that_was_made_is_not_owed_though_the_disk_does_not_note_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    record, outbox = make(tmp_path, SWITCHING.at(Step.TRIAL))

    def full(folder: Path, task: Task) -> None:
        if task.reported:
            raise OSError(28, "No space left on device")
        save_task(folder, task)

    monkeypatch.setattr("ota.order.record.save_task", full)
    await record.succeed()
    await record.settle()
    assert (record.owes_report, len(outbox.finals())) == (False, 1)
    assert "update 77: [Errno 28] No space left on device" in caplog.text
    again = TaskRecord(tmp_path, tmp_path / "download", outbox)  # after a restart
    assert again.owes_report
    await again.settle()
    assert len(outbox.finals()) == 1


def test_a_transaction_in_a_message_is_bounded_and_printable() -> None:
    assert show_transaction("77") == "77"
    shown = show_transaction("7\n" + "x" * 5000)
    assert "\n" not in shown
    assert len(shown) < 500
