"""What the card does before the network at every start: the image's own script, on files as the data partition and the id."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

START = Path(__file__).parents[2] / "systemd/image/files/usr/lib/story-machine/start"
TRANSIENT = "f" * 32


@dataclass
class Machine:
    """The data partition, and the id that systemd made for this start: one file by two names, as a mount makes it."""

    folder: Path

    def make(self) -> None:
        (self.folder / "data").mkdir()
        self.boot()
        tools = self.folder / "bin"
        tools.mkdir()
        self.program("blockdev", "echo 4096")
        self.program("resize2fs", "")

    def boot(self) -> None:
        own, transient = self.folder / "own", self.folder / "transient"
        own.unlink(missing_ok=True)
        transient.unlink(missing_ok=True)
        transient.write_text(f"{TRANSIENT}\n")
        own.hardlink_to(transient)

    def program(self, name: str, body: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.folder}/calls\n{body}\n')
        path.chmod(0o755)

    def start(self) -> str:
        environment = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "START_DATA": str(self.folder / "data"),
            "START_DEVICE": "/dev/seven",
            "START_ID": str(self.folder / "own"),
            "START_TRANSIENT": str(self.folder / "transient"),
        }
        (self.folder / "calls").unlink(missing_ok=True)
        done = subprocess.run(["sh", START], env=environment, capture_output=True, text=True, timeout=60, check=True)  # fmt: skip
        return done.stdout + (self.folder / "calls").read_text()

    def own(self) -> str:
        return (self.folder / "own").read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.make()
    return made


def test_a_new_card_gets_an_id_and_keeps_it(machine: Machine) -> None:
    assert "resize2fs /dev/seven" in machine.start()
    first = machine.own()
    assert re.fullmatch(r"[0-9a-f]{32}\n", first)
    assert first.strip() != TRANSIENT
    machine.boot()
    # Its size is known now.
    assert "resize2fs" not in machine.start()
    assert machine.own() == first == (machine.folder / "data/machine-id").read_text()


@pytest.mark.parametrize(
    "broken", ["", "f" * 31, "f" * 33, "no id", "F" * 32, "no id\n" + "f" * 32 + "\n", "\0" * 33]
)
def test_half_an_id_is_replaced(machine: Machine, broken: str) -> None:
    (machine.folder / "data/machine-id").write_text(broken)
    machine.start()
    assert re.fullmatch(r"[0-9a-f]{32}\n", machine.own())
    assert machine.own().strip() != TRANSIENT
    assert machine.own() == (machine.folder / "data/machine-id").read_text()


def test_an_id_that_is_not_this_starts_transient_one_is_left_alone(machine: Machine) -> None:
    (machine.folder / "own").unlink()
    (machine.folder / "own").write_text("kept\n")
    assert "could not be kept" in machine.start()
    assert machine.own() == "kept\n"


def test_what_fails_keeps_no_machine_from_starting(machine: Machine) -> None:
    machine.program("resize2fs", "exit 1")
    said = machine.start()
    assert "could not grow" in said
    assert machine.own().strip() != TRANSIENT
    # The next start tries again.
    assert "resize2fs" in machine.start()
    machine.program("blockdev", "exit 1")
    assert "was not found" in machine.start()
