"""The trial of the running version: its confirmation, its end with a reason, and its count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ota.install.slots import SlotInstaller
from ota.launch import boot
from ota.launch.boot import BootRecord
from ota.order.record import TaskRecord
from ota.order.states import State
from ota.order.task import save_task
from ota.trial.given_up import FailedTrials, given_up_path, load_given_up
from ota.trial.running_trial import RunningTrial
from tests.ota.order.test_record import SWITCHING
from tests.ota.updater_rig import Kills, Outbox


class Parts:
    """A slots machine that runs 1.1.0 on trial for the update 77."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        save_task(folder, SWITCHING)
        boot.store(folder, BootRecord("1.0.5").activated("1.1.0", "77"))
        self.outbox = Outbox(Kills())
        self.lines: Sequence[str] = ["one", "two"]
        self.record = TaskRecord(folder, folder / "download", self.outbox, "77")
        installer = SlotInstaller(folder)
        self.trial = RunningTrial(self.record, installer, folder, lambda: self.lines, is_on=True)

    @property
    def logs(self) -> list[object]:
        return [value["lines"] for key, value in self.outbox.taken if key == "ota_log"]


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path)


async def test_a_confirmed_version_stays(parts: Parts) -> None:
    assert not await parts.trial.wait_until_over(0.0)
    await parts.trial.confirm()
    assert not parts.trial.is_on
    assert await parts.trial.wait_until_over(0.0)
    assert boot.load(parts.folder) == BootRecord("1.1.0", "1.0.5")
    assert [final["event"] for final in parts.outbox.finals()] == [10]
    assert (parts.logs, load_given_up(parts.folder)) == ([], FailedTrials())


async def test_a_version_that_is_rolled_back_is_counted_and_reported_with_its_log(
    parts: Parts,
) -> None:
    await parts.trial.roll_back("no chime", "1.1.0")
    assert not parts.trial.is_on
    assert boot.load(parts.folder).active == "1.0.5"
    reason = "version 1.1.0 was rolled back: no chime"
    (final,) = parts.outbox.finals()
    assert (final["event"], final["description"]) == (8, f"new version given up: {reason}")
    (given_up,) = load_given_up(parts.folder).packages
    assert (given_up.times, given_up.reason) == (1, reason)
    assert parts.logs == [["one", "two"]]


async def test_a_version_that_never_started_is_not_counted(parts: Parts) -> None:
    await parts.trial.report_failure("the machine did not restart", counts=False)
    assert parts.record.task is not None
    assert parts.record.task.state is State.FAILED
    assert (parts.logs, load_given_up(parts.folder)) == ([], FailedTrials())


async def test_a_count_that_cannot_be_stored_does_not_prevent_the_report(parts: Parts) -> None:
    given_up_path(parts.folder).mkdir(parents=True)
    await parts.trial.roll_back("no chime", "1.1.0")
    assert [final["event"] for final in parts.outbox.finals()] == [8]


async def test_a_log_that_cannot_be_kept_does_not_prevent_the_report(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(*_words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ota.order.reports.UpdateReports.log", full)
    await parts.trial.roll_back("no chime", "1.1.0")
    assert "update 77: [Errno 28] No space left on device" in caplog.text
    assert [final["event"] for final in parts.outbox.finals()] == [8]
    assert not parts.trial.is_on


async def test_a_start_that_cannot_be_stored_does_not_prevent_the_roll_back(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts.record, "enter_trial", full)
    await parts.trial.begin()
    assert "the start of the trial cannot be stored: " in caplog.text
    assert parts.trial.is_on


async def test_a_version_that_lacked_the_cloud_alone_is_not_counted_yet(parts: Parts) -> None:
    await parts.trial.roll_back("not proven", "1.1.0", in_doubt=True)
    trials = load_given_up(parts.folder)
    assert (trials.packages, trials.outages) == ((), ())
    assert trials.doubt is not None
    assert trials.doubt.transaction == "77"
    assert [final["event"] for final in parts.outbox.finals()] == [8]


async def test_a_confirmation_ends_a_doubt(parts: Parts) -> None:
    await parts.trial.roll_back("not proven", "1.1.0", in_doubt=True)
    boot.store(parts.folder, BootRecord("1.0.5").activated("1.1.0", "77"))
    await parts.trial.confirm()
    assert load_given_up(parts.folder) == FailedTrials()


@pytest.mark.parametrize("counts", [True, False])
async def test_a_confirmed_version_that_was_left_is_told_of(parts: Parts, *, counts: bool) -> None:
    for _start in range(2):
        await parts.trial.report_left("it ended 5 times", counts=counts)
    assert parts.logs == [["it ended 5 times", "one", "two"]]
    assert [entry.times for entry in load_given_up(parts.folder).packages] == [1] * counts
    assert parts.outbox.finals() == []
