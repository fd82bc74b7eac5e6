"""The data partition's growth at the first start: the image's own script, with the real sfdisk, on a file as the card."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.image.board import read_board
from tools.image.card import MIB, card_mib, lay_out, script

GROW = Path(__file__).parents[2] / "systemd/image/files/usr/lib/story-machine/grow"


@dataclass
class Card:
    """A card's file, the kernel's view of it, and programs that a file has no use for."""

    folder: Path
    mib: int

    def make(self) -> None:
        self.image = self.folder / "dev/card"
        by = self.folder / "dev/disk/by-partuuid"
        by.mkdir(parents=True)
        (by / "53544f52-07").symlink_to("../../card7")
        (self.folder / "dev/card7").touch()
        with self.image.open("wb") as file:
            file.truncate(self.mib * MIB)
        self.partitions = lay_out(read_board("qemu"))
        subprocess.run(["sfdisk", "--quiet", self.image], input=script(self.partitions).encode(), check=True)  # fmt: skip
        self.tell_kernel()
        tools = self.folder / "bin"
        tools.mkdir()
        for name in ("partx", "udevadm"):
            (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{self.folder}/calls\n')
            (tools / name).chmod(0o755)

    def tell_kernel(self) -> None:
        data = self.table()[7]
        part = self.folder / "sys/real/card/card7"
        part.mkdir(parents=True, exist_ok=True)
        for name in ("start", "size"):
            (part / name).write_text(f"{data[name]}\n")
        (part.parent / "size").write_text(f"{self.mib * 2048}\n")
        for name in ("card", "card/card7"):
            link = self.folder / "sys" / Path(name).name
            if not link.exists():
                link.symlink_to(f"real/{name}")

    def table(self) -> dict[int, dict[str, int]]:
        done = subprocess.run(["sfdisk", "--json", self.image], check=True, capture_output=True)
        found = json.loads(done.stdout)["partitiontable"]["partitions"]
        return {int(it["node"].removeprefix(str(self.image))): it for it in found}

    def grow(self) -> str:
        environment = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "GROW_SYS": str(self.folder / "sys"),
            "GROW_DEVICES": str(self.folder / "dev"),
        }
        done = subprocess.run(
            ["sh", GROW], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        calls = self.folder / "calls"
        return done.stdout + (calls.read_text() if calls.exists() else "")


SIZE = card_mib(lay_out(read_board("qemu")))


def test_the_last_partition_takes_the_whole_card_and_the_others_stay(tmp_path: Path) -> None:
    card = Card(tmp_path, SIZE + 700)
    card.make()
    before = card.table()
    said = card.grow()
    after = card.table()
    end = card.mib * 2048
    assert after[7]["start"] == before[7]["start"]
    assert after[7]["start"] + after[7]["size"] == end
    assert after[4]["start"] + after[4]["size"] == end
    assert {it: after[it] for it in (1, 2, 3, 5, 6)} == {it: before[it] for it in (1, 2, 3, 5, 6)}
    assert f"partx --update --nr 7 {card.image}" in said
    # What is mounted next asks for it by name.
    assert (
        said.splitlines()[-1]
        == f"udevadm wait --timeout=300 {tmp_path}/dev/disk/by-partuuid/53544f52-07"
    )
    # The next start finds nothing to do.
    card.tell_kernel()
    (tmp_path / "calls").unlink()
    assert card.grow() == ""
    assert card.table() == after


def test_a_power_cut_between_the_two_is_mended(tmp_path: Path) -> None:
    card = Card(tmp_path, SIZE + 700)
    card.make()
    subprocess.run(["sfdisk", "--quiet", "-N", "4", card.image], input=b", +", check=True)
    card.grow()
    table = card.table()
    assert table[7]["start"] + table[7]["size"] == card.mib * 2048


@pytest.mark.parametrize("more", [1, 15])
def test_a_card_of_the_images_size_is_left_alone(tmp_path: Path, more: int) -> None:
    card = Card(tmp_path, SIZE + more)
    card.make()
    assert card.grow() == ""


def test_what_fails_keeps_no_machine_from_starting(tmp_path: Path) -> None:
    card = Card(tmp_path, SIZE + 700)
    card.make()
    (tmp_path / "bin/sfdisk").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/sfdisk").chmod(0o755)
    assert "could not grow" in card.grow()
    (tmp_path / "sys/card7").unlink()
    assert "was not found" in card.grow()
