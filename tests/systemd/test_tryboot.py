"""The tryboot script on a folder in place of the firmware's partition."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "systemd" / "rauc" / "tryboot"
AUTOBOOT = "[all]\ntryboot_a_b=1\nboot_partition={}\n[tryboot]\nboot_partition={}\n"


class Pi:
    """The files of the firmware and the kernel; `start` does what the firmware would do."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "select"
        self.folder.mkdir()
        self.run = root / "run"
        self.cmdline = root / "cmdline"
        (root / "tryboot.conf").write_text("A 2\nB 3\n")
        self.environment = os.environ | {
            "TRYBOOT_FOLDER": str(self.folder),
            "TRYBOOT_STATES": str(root / "slots"),
            "TRYBOOT_CONFIG": str(root / "tryboot.conf"),
            "TRYBOOT_REBOOT_PARAM": str(self.run / "reboot-param"),
            "TRYBOOT_CMDLINE": str(self.cmdline),
            "TRYBOOT_DEVICE_TREE": str(root / "partition"),
        }
        (self.folder / "autoboot.txt").write_text(AUTOBOOT.format(2, 3))
        self.start(asked=False)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(SCRIPT), *words]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )

    def ask(self, *words: str) -> str:
        done = self.call(*words)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()

    def start(self, *, asked: bool = True) -> str:
        """Restart: orderly (``asked``), so that the reboot parameter counts, or by a power cut."""
        param = self.run / "reboot-param"
        tried = asked and param.exists() and param.read_text() == "0 tryboot\n"
        param.unlink(missing_ok=True)
        section = "tryboot" if tried else "all"
        text = (self.folder / "autoboot.txt").read_text()
        number = text.split(f"[{section}]")[1].split("boot_partition=")[1].split("\n")[0]
        slot = {"2": "A", "3": "B"}[number]
        self.cmdline.write_text(f"root=/dev/mmcblk0p5 rauc.slot={slot} quiet\n")
        return slot


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def test_a_new_machine_runs_its_default(pi: Pi) -> None:
    assert pi.ask("get-primary") == pi.ask("get-current") == "A"
    assert pi.ask("get-state", "A") == pi.ask("get-state", "B") == "good"


def test_a_system_on_trial_is_told_from_one_that_stays(pi: Pi) -> None:
    pi.ask("committed")
    pi.ask("set-primary", "B")
    pi.ask("committed")  # the old system, which has not restarted yet
    assert pi.start() == "B"
    on_trial = pi.call("committed")
    assert (on_trial.returncode, on_trial.stderr) == (
        10, "tryboot: slot B runs on trial, A starts next\n",
    )  # fmt: skip
    pi.ask("set-state", "B", "good")
    pi.ask("committed")


def test_a_system_that_was_given_up_and_still_runs_is_not_committed(pi: Pi) -> None:
    pi.ask("set-primary", "B")
    pi.start()
    pi.ask("set-primary", "A")
    pi.ask("set-state", "B", "bad")
    assert pi.call("committed").returncode == 10
    assert pi.start() == "A"
    pi.ask("committed")


def test_what_cannot_be_told_is_no_reason_to_restart(pi: Pi) -> None:
    (pi.folder / "autoboot.txt").unlink()
    untold = pi.call("committed")
    assert untold.returncode == 1
    assert "no boot_partition" in untold.stderr


SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$0.calls"
case $* in
*ActiveState*) echo {state} ;;
*ActiveEnterTimestampMonotonic*) echo {since} ;;
esac
"""


def end_trial(pi: Pi, uptime: int, state: str = "activating", since: int = 0) -> tuple[int, str]:
    """Run trial-end at ``uptime`` seconds after the boot; return its exit code and its systemctl calls.

    ``state``: the agent's, as systemd has it; ``since``: when it was last active, in seconds.
    """
    programs = pi.run.parent / "bin"
    programs.mkdir(exist_ok=True)
    systemctl = programs / "systemctl"
    systemctl.write_text(SYSTEMCTL.format(state=state, since=since * 1_000_000))
    systemctl.chmod(0o755)
    calls = programs / "systemctl.calls"
    calls.unlink(missing_ok=True)
    (programs / "uptime").write_text(f"{uptime}.25 1000.00\n")
    environment = pi.environment | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TRIAL_TRYBOOT": str(SCRIPT),
        "TRIAL_UPTIME": str(programs / "uptime"),
    }
    done = subprocess.run(
        [str(SCRIPT.with_name("trial-end"))], env=environment, capture_output=True, check=False
    )
    return done.returncode, calls.read_text() if calls.exists() else ""


STAY, RESTART = 0, 10


@pytest.mark.parametrize(
    ("uptime", "state", "since", "code"),
    [
        (900, "activating", 0, RESTART),  # it never started, and systemd restarts it
        (900, "failed", 0, RESTART),
        (900, "activating", 890, RESTART),  # it starts, and exits each time
        (900, "active", 895, RESTART),
        (900, "active", 30, STAY),  # it ends the trial itself, and waits for the end of a story
        (1200, "active", 895, STAY),
        (4500, "active", 30, RESTART),  # it has failed to do so
    ],
)
def test_a_system_on_trial_is_left_unless_its_agent_does_it(
    pi: Pi, uptime: int, state: str, since: int, code: int
) -> None:
    pi.ask("set-primary", "B")
    assert pi.start() == "B"
    assert end_trial(pi, uptime, state, since)[0] == code
    assert pi.start(asked=False) == "A"


def test_a_system_that_stays_is_asked_once(pi: Pi) -> None:
    assert end_trial(pi, 900) == (STAY, "--no-block stop story-agent-trial.timer\n")


def test_a_machine_that_cannot_tell_does_not_restart_for_ever(pi: Pi) -> None:
    pi.ask("set-primary", "B")
    pi.start()
    (pi.folder / "autoboot.txt").unlink()
    assert end_trial(pi, 5000) == (STAY, "")


def test_the_service_restarts_the_machine_when_it_is_told_to() -> None:
    service = (SCRIPT.parent / "story-agent-trial.service").read_text().splitlines()
    program = "/usr/lib/rauc/trial-end"
    expected = {
        f"ConditionFileIsExecutable={program}",
        "FailureAction=reboot",
        f"ExecStart={program}",
    }
    assert expected <= set(service)


def test_a_new_slot_is_tried_once_and_stays_when_it_is_good(pi: Pi) -> None:
    pi.ask("set-state", "B", "bad")  # RAUC does this before it writes
    pi.ask("set-primary", "B")
    assert (pi.ask("get-primary"), pi.ask("get-state", "B")) == ("B", "good")
    assert pi.start() == "B"
    assert (pi.ask("get-current"), pi.ask("get-primary")) == ("B", "A")
    pi.ask("set-state", "B", "good")
    assert pi.ask("get-primary") == "B"
    assert pi.start(asked=False) == pi.start() == "B"


def test_a_new_slot_that_hangs_is_left_by_the_next_restart(pi: Pi) -> None:
    pi.ask("set-primary", "B")
    assert pi.start() == "B"
    assert pi.start(asked=False) == "A"
    assert pi.start() == "A"


def test_a_power_cut_before_the_try_starts_the_old_slot(pi: Pi) -> None:
    pi.ask("set-primary", "B")
    assert pi.start(asked=False) == "A"
    assert pi.ask("get-primary") == "A"


def test_going_back_from_a_try(pi: Pi) -> None:
    pi.ask("set-primary", "B")
    pi.start()
    pi.ask("set-primary", "A")
    pi.ask("set-state", "B", "bad")
    assert pi.start() == "A"
    assert pi.ask("get-state", "B") == "bad"


def test_a_pending_try_is_dropped_with_its_slot(pi: Pi) -> None:
    pi.ask("set-primary", "B")
    pi.ask("set-state", "B", "bad")
    assert pi.ask("get-primary") == "A"
    assert pi.start() == "A"


def test_good_for_a_slot_that_does_not_run_changes_no_default(pi: Pi) -> None:
    pi.ask("set-state", "B", "good")
    assert pi.start(asked=False) == "A"


def test_the_way_back_to_the_first_slot(pi: Pi) -> None:
    for slot in ("B", "A", "B"):
        pi.ask("set-primary", slot)
        assert pi.start() == slot
        pi.ask("set-state", slot, "good")
    assert pi.start(asked=False) == "B"


def test_the_firmware_s_folder_sees_one_file_overwritten_in_place(pi: Pi) -> None:
    """FAT has no journal: after a rename, the name on the card may point to clusters that are free."""
    path = pi.folder / "autoboot.txt"
    before = path.stat()
    pi.ask("set-state", "B", "bad")
    pi.ask("set-primary", "B")
    assert pi.start() == "B"
    pi.ask("set-state", "B", "good")
    after = path.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    assert path.read_text() == AUTOBOOT.format(3, 2)
    assert list(pi.folder.iterdir()) == [path]


def test_a_longer_autoboot_is_overwritten_whole(pi: Pi) -> None:
    path = pi.folder / "autoboot.txt"
    path.write_text("# by hand\n" + AUTOBOOT.format(2, 3) + "# and more\n")
    size = path.stat().st_size
    pi.cmdline.write_text("rauc.slot=B\n")
    pi.ask("set-state", "B", "good")
    assert path.read_text() == AUTOBOOT.format(3, 2).ljust(size, "\n")
    assert pi.ask("get-primary") == "B"


def test_the_firmware_says_which_slot_runs(pi: Pi, tmp_path: Path) -> None:
    (tmp_path / "partition").write_bytes((3).to_bytes(4, "big"))
    assert pi.ask("get-current") == "B"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "expected get-primary"),
        (("what",), "expected get-primary"),
        (("set-primary", "C"), "slot C is not in"),
        (("set-state", "B", "so-so"), "expected good or bad"),
        (("get-state",), "expected get-primary"),
    ],
)
def test_a_wrong_call_says_what_is_right(pi: Pi, words: tuple[str, ...], message: str) -> None:
    done = pi.call(*words)
    assert done.returncode == 1
    assert message in done.stderr
    assert "\n" not in done.stderr.strip()


@pytest.mark.parametrize("text", ["", "[all]\n", "[all]\nboot_partition=9\n", None])
def test_a_damaged_autoboot_is_said_and_nothing_is_written(pi: Pi, text: str | None) -> None:
    path = pi.folder / "autoboot.txt"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    done = pi.call("set-primary", "B")
    assert done.returncode == 1
    assert done.stderr.startswith("tryboot: ")
    assert not (pi.run / "reboot-param").exists()
    assert (path.read_text() if path.exists() else None) == text


def test_nobody_says_which_slot_runs(pi: Pi) -> None:
    pi.cmdline.write_text("quiet\n")
    assert "says which slot runs" in pi.call("get-current").stderr


def test_killed_anywhere_the_machine_starts_one_of_the_two(pi: Pi) -> None:
    """SIGKILL the script at various moments while it makes the running slot the default."""
    whole = {AUTOBOOT.format(2, 3), AUTOBOOT.format(3, 2)}
    chance = random.Random(7)
    began = time.monotonic()
    pi.ask("set-state", "B", "good")
    took = time.monotonic() - began
    for count in range(60):
        (pi.folder / "autoboot.txt").write_text(AUTOBOOT.format(2, 3))
        pi.cmdline.write_text("rauc.slot=B\n")
        process = subprocess.Popen([SCRIPT, "set-state", "B", "good"], env=pi.environment)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, took * count / 30))
        process.kill()
        process.wait()
        assert (pi.folder / "autoboot.txt").read_text() in whole
        assert pi.start(asked=False) in {"A", "B"}
        pi.ask("get-primary")
    # Without a kill it succeeds.
    (pi.folder / "autoboot.txt").write_text(AUTOBOOT.format(2, 3))
    pi.cmdline.write_text("rauc.slot=B\n")
    pi.ask("set-state", "B", "good")
    assert (pi.folder / "autoboot.txt").read_text() == AUTOBOOT.format(3, 2)
