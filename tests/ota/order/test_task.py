"""The strict reading of the task record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ota.errors import ContentError, MachineError, MisuseError
from ota.order.states import IllegalTransitionError, State, Step
from ota.order.task import Task, load_task, parse_task, read_task, save_task, task_path
from ota.trust.target import Target
from ota.trust.terms import MapFile
from wire.errors import WireError
from wire.ota import OtaEvent, OtaOrder

ORDER = OtaOrder("77", "1.1.0", "1.0.0", "http://h/1.1.0.tar.gz", 10, "0" * 32)
TARGET = Target("p/1.1.0.tar.gz", 10, "a" * 64, "1.1.0", "p")


TASKS = [
    Task(ORDER),
    Task(ORDER).at(Step.CHECK),
    Task(ORDER).at(Step.CHECK).at(Step.DOWNLOAD, TARGET),
    Task(ORDER).at(Step.CHECK).at(Step.SWITCH, TARGET).at(Step.TRIAL),
    Task(ORDER).at(Step.CHECK).at(Step.SWITCH, TARGET).at(Step.TRIAL).succeeded(),
    Task(ORDER).failed(ContentError("wrong size", "detail")),
    replace(Task(ORDER), installs=3, repairs=2, salt="5a17"),
    Task(ORDER).at(Step.CHECK).at(Step.DOWNLOAD, replace(
        TARGET, data_budget=50, map=MapFile(9, "b" * 64, "c" * 32),
    )),
]  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_each_task_survives_the_disk(tmp_path: Path, task: Task) -> None:
    save_task(tmp_path, task)
    assert load_task(tmp_path) == task


def test_a_record_of_an_older_version_lacks_what_that_did_not_count() -> None:
    record = json.loads(replace(Task(ORDER), installs=3, repairs=2, salt="5a17").to_bytes())
    for member in ("installs", "repairs", "salt"):
        del record[member]
    assert parse_task(json.dumps(record).encode()) == Task(ORDER)


def test_steps_carry_the_state_along_and_never_back() -> None:
    task = Task(ORDER).at(Step.CHECK)
    assert task.state is State.RUNNING
    with pytest.raises(IllegalTransitionError):
        task.at(Step.TRIAL, TARGET).at(Step.DOWNLOAD)
    with pytest.raises(IllegalTransitionError):
        task.succeeded()
    with pytest.raises(IllegalTransitionError):
        task.failed(ContentError("a", "b")).failed(ContentError("a", "b"))


def test_a_failure_keeps_its_text_and_event() -> None:
    task = Task(ORDER).failed(ContentError("wrong hash", "x", OtaEvent.CHECKSUM_FAIL))
    assert (task.failure, task.event) == ("wrong hash: x", OtaEvent.CHECKSUM_FAIL)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": 2}, "format"),
        ({"state": "DONE"}, "state"),
        ({"step": "trial"}, "step"),
        ({"order": {}}, "ota.transaction"),
        ({"reported": "no"}, "reported"),
        ({"state": "RUNNING", "step": "install"}, "target"),
        ({"state": "FAILED", "step": "done", "event": 12}, "failure"),
        ({"state": "SUCCESS", "step": "done"}, "event"),
        ({"event": 10}, "event"),
        ({"event": 99}, "event"),
        ({"target": {"path": "p"}}, "target.length"),
    ],
)
def test_a_damaged_record_is_named(change: dict[str, Any], named: str) -> None:
    record = json.loads(Task(ORDER).to_bytes()) | change
    with pytest.raises(WireError, match=f"^{named}"):
        parse_task(json.dumps(record).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"[" * 100_000])
def test_a_damaged_file_is_set_aside_and_the_machine_is_idle(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    save_task(tmp_path, Task(ORDER))
    task_path(tmp_path).write_bytes(data)
    assert load_task(tmp_path) is None
    assert (tmp_path / "ota/task.json.bad").read_bytes() == data
    assert "task.json.bad" in caplog.text
    assert load_task(tmp_path) is None


def test_only_a_task_with_a_checked_package_has_one() -> None:
    assert Task(ORDER).at(Step.CHECK).at(Step.DOWNLOAD, TARGET).admitted == TARGET
    with pytest.raises(MisuseError, match="without a target"):
        _ = Task(ORDER).admitted


def test_an_installation_that_never_ends_is_begun_ten_times() -> None:
    task = Task(ORDER)
    for _ in range(10):
        task = task.installing()
    with pytest.raises(MachineError, match="begun 10 times"):
        task.installing()


def test_a_task_is_of_its_order_and_of_no_other_under_its_number() -> None:
    task = Task.taken(ORDER)
    assert task.is_of(ORDER)
    assert not task.is_of(replace(ORDER, transaction="78"))
    assert not task.is_of(replace(ORDER, version="1.2.0"))


def test_a_record_that_the_disk_does_not_give_is_told_and_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task_path(tmp_path).mkdir(parents=True)
    assert read_task(tmp_path) is None
    assert "update record cannot be read: " in caplog.text
    assert task_path(tmp_path).is_dir()
