"""An image that keeps dying after its trial is left for the one in the other slot, a few times at most."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.updates import leaving
from agent.updates.leaving import find_reason, leave_dying_image, tries_of, tries_path
from base.files import write_atomically
from ota.errors import MachineError
from ota.install.installer import LEFT
from ota.install.rauc import RaucInstaller, RaucRecord, SlotTrial, read_boot_id
from ota.launch.boot import Rollback
from ota.launch.starts import image_starts_path
from ota.order.task import Task
from wire.ota import OtaOrder

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TRIES = 3
EARLY_DEATHS = 5

ROOT = Path(__file__).parents[3]
ORDER = OtaOrder("77", "1.1.0", "1.0.0", "http://h/x", 1, "0" * 32)


@pytest.mark.parametrize(
    ("early", "tries", "leaves"),
    [
        (0, 0, False),
        (EARLY_DEATHS - 1, 0, False),
        (EARLY_DEATHS, 0, True),
        (EARLY_DEATHS, TRIES - 1, True),
        (EARLY_DEATHS, TRIES, False),
        (EARLY_DEATHS + 9, TRIES + 9, False),
    ],
)
def test_decision(early: int, tries: int, *, leaves: bool) -> None:
    assert (find_reason(early, tries) is not None) is leaves


class Machine:
    """Starts of one image that dies each time, with a RAUC and a logind that only note what is asked of them."""

    def __init__(self, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = state
        self.left: list[tuple[str, str]] = []
        self.reboots = 0
        self.refusal: Exception | None = None
        (state / "ota").mkdir(parents=True)
        self.record(RaucRecord())
        monkeypatch.setattr(RaucInstaller, "leave", lambda _installer, *words: self._leave(*words))
        monkeypatch.setattr("machine.logind.reboot_machine", self._reboot)

    def record(self, record: RaucRecord) -> None:
        write_atomically(self.state / "ota" / "rauc.json", record.to_bytes())

    def _leave(self, reason: str, older: str) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.left.append((reason, older))
        return older

    async def _reboot(self) -> None:
        self.reboots += 1

    def start(self, times: int = 1, version: str = "1.1.0") -> None:
        for _start in range(times):
            leave_dying_image(self.state, version, lambda _seconds: None)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_after_five_early_deaths_the_other_slot_starts(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    write_atomically(machine.state / "ota" / "task.json", Task(ORDER).to_bytes())
    machine.start(EARLY_DEATHS)
    assert (machine.left, machine.reboots) == ([], 0)
    machine.start()
    assert machine.left == [("it ended 5 times within 300 s of its start", "1.0.0")]
    assert machine.reboots == 1
    assert "version 1.1.0 is left" in capsys.readouterr().err


def test_a_version_is_left_a_few_times_and_then_stays(machine: Machine) -> None:
    machine.start(30 * EARLY_DEATHS)
    assert (len(machine.left), machine.reboots) == (TRIES, TRIES)
    machine.start(30 * EARLY_DEATHS, "1.2.0")  # a later one has tries of its own
    assert len(machine.left) == 2 * TRIES


@pytest.mark.parametrize(
    "record",
    [
        RaucRecord(SlotTrial("1.1.0", "77", "rootfs.1", "rootfs.0", "another boot")),
        RaucRecord(SlotTrial("1.1.0", LEFT, "rootfs.1", "rootfs.0", "another boot")),
        RaucRecord(SlotTrial("1.2.0", "78", "rootfs.0", "rootfs.1", read_boot_id())),
        RaucRecord(None, Rollback("1.1.0", "no chime", "77"), read_boot_id()),
    ],
    ids=["on trial", "gone back to", "about to restart", "rolled back"],
)
def test_a_version_whose_trial_or_restart_is_under_way_is_not_counted(
    machine: Machine, record: RaucRecord
) -> None:
    machine.record(record)
    machine.start(3 * EARLY_DEATHS)
    assert machine.left == []
    assert not image_starts_path(machine.state).exists()
    machine.record(RaucRecord())
    machine.start(EARLY_DEATHS)
    assert machine.left == []  # the deaths of before count for nothing
    machine.start()
    assert len(machine.left) == 1


def test_a_trial_of_the_older_one_that_a_power_cut_ended_does_not_end_the_counting(
    machine: Machine,
) -> None:
    machine.record(RaucRecord(SlotTrial("1.0.0", LEFT, "rootfs.0", "rootfs.1", "another boot")))
    machine.start(EARLY_DEATHS + 1)
    assert len(machine.left) == 1


@pytest.mark.parametrize(
    "refusal", [MachineError("RAUC: nothing"), OSError("no bus"), ImportError("x")]
)
def test_where_there_is_nothing_to_go_back_to_the_image_goes_on(
    machine: Machine, refusal: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.refusal = refusal
    machine.start(EARLY_DEATHS + 1)
    assert machine.reboots == 0
    assert (
        f"cannot be left (it ended 5 times within 300 s of its start): {refusal}"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "1" * 9000,
        '{"version": "1.1.0", "tries": 1e999}',
        '{"version": "1.1.0", "tries": "x"}',
    ],
)
def test_a_damaged_count_of_tries_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "ota").mkdir()
    assert tries_of(tmp_path, "1.1.0") == 0
    tries_path(tmp_path).write_text(text)
    assert tries_of(tmp_path, "1.1.0") == 0


def test_a_disk_that_does_not_take_the_count_of_tries_keeps_the_image(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not be told how often that was, and the machine would restart for ever."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(leaving, "write_atomically", full)
    machine.start(EARLY_DEATHS + 1)
    assert (machine.left, machine.reboots) == ([], 0)


@pytest.mark.parametrize(
    ("record", "slot", "early"), [(True, "", 1), (True, "1.1.0", None), (False, "", None)]
)
def test_the_command_counts_where_images_are(
    tmp_path: Path, *, record: bool, slot: str, early: int | None
) -> None:
    """A real agent that dies for its settings' file, which is a folder: that is no early death, but one for a bug is."""
    (tmp_path / "ota").mkdir()
    if record:
        write_atomically(tmp_path / "ota" / "rauc.json", RaucRecord().to_bytes())
    code = "import sys, agent.cli as c, agent.daemon as d; d.run_daemon = None; sys.exit(c.main())"
    words = [
        sys.executable,
        "-c",
        code,
        "run",
        "--state",
        str(tmp_path),
        "--profile",
        str(tmp_path / "none"),
    ]
    env = os.environ | {"STORY_AGENT_SLOT": slot}
    for _start in range(2):
        subprocess.run(words, cwd=ROOT, env=env, capture_output=True, timeout=60, check=False)
    path = image_starts_path(tmp_path)
    assert (json.loads(path.read_text())["early"] if path.exists() else None) == early
