"""The card's partitions, and the texts that the Raspberry Pi's firmware reads from them.

    1  select  FAT    autoboot.txt, bootcode.bin; the family's files: profile, Wi-Fi    no slot covers it
    2  boot-a  FAT    config.txt, Linux                                                 slot A
    3  boot-b  FAT                                                                      slot B
    5  root-a  ext4   read-only                                                         slot A
    6  root-b  ext4                                                                     slot B
    7  data    ext4   grows to the card's end at the first start                        no slot covers it

An MBR, because the Pi 3's and the Zero 2's ROM finds only FAT partitions of an MBR; its first four are what
``boot_partition=`` can name, so that roots and data are logical ones in partition 4.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.image.board import Board

MIB = 1024 * 1024
SECTOR = 512
# PARTUUIDs are this and the partition's number: root= and RAUC find partitions by them, on any device.
DISK_ID = "53544f52"
# Before the first partition, and before each logical one, whose boot record lies there.
GAP_MIB = 1
BOOT_PARTITIONS = {"A": 2, "B": 3}
_FAT32, _EXTENDED, _LINUX = "c", "f", "83"


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition.

    Attributes:
        number: as the kernel counts.
        name: which it is.
        start: in MiB from the card's first byte.
        size: in MiB.
        kind: the MBR's type, in hex.
    """

    number: int
    name: str
    start: int
    size: int
    kind: str

    @property
    def offset(self) -> int:
        """Return its first byte."""
        return self.start * MIB

    @property
    def uuid(self) -> str:
        """Return its PARTUUID."""
        return f"{DISK_ID}-{self.number:02}"


def lay_out(board: Board) -> list[Partition]:
    """Return the partitions in their order; the extended one, 4, holds those behind it."""
    sizes = board.mebibytes
    primary = [(1, "select"), (2, "boot-a"), (3, "boot-b")]
    logical = [(5, "root-a"), (6, "root-b"), (7, "data")]
    at, found = GAP_MIB, []
    for number, name in primary:
        size = sizes[name.split("-", maxsplit=1)[0]]
        found.append(Partition(number, name, at, size, _FAT32))
        at += size
    begin = at
    inner = []
    for number, name in logical:
        size = sizes[name.split("-", maxsplit=1)[0]]
        inner.append(Partition(number, name, at + GAP_MIB, size, _LINUX))
        at += GAP_MIB + size
    return [*found, Partition(4, "extended", begin, at - begin, _EXTENDED), *inner]


def card_mib(partitions: list[Partition]) -> int:
    """Return the size of an image with these partitions, in MiB."""
    return max(it.start + it.size for it in partitions)


def script(partitions: list[Partition]) -> str:
    """Return what sfdisk(8) reads."""
    per = MIB // SECTOR
    lines = ["label: dos", f"label-id: 0x{DISK_ID}", "unit: sectors"]
    lines += [
        f"{it.number} : start={it.start * per}, size={it.size * per}, type={it.kind}"
        for it in partitions
    ]
    return "\n".join(lines) + "\n"


def autoboot() -> str:
    """Return autoboot.txt of a new card; ``systemd/rauc/tryboot`` writes it later."""
    own, other = BOOT_PARTITIONS["A"], BOOT_PARTITIONS["B"]
    return f"[all]\ntryboot_a_b=1\nboot_partition={own}\n[tryboot]\nboot_partition={other}\n"


def config(board: Board) -> str:
    """Return config.txt. It is the same in both slots, so that one image fits both."""
    lines = ["[all]", *board.config]
    for slot, number in BOOT_PARTITIONS.items():
        lines += [f"[boot_partition={number}]", f"cmdline=cmdline-{slot.lower()}.txt"]
    return "\n".join([*lines, "[all]", ""])


def cmdline(board: Board, slot: str) -> str:
    """Return the kernel's command line for slot A or B."""
    root = {it.name: it for it in lay_out(board)}[f"root-{slot.lower()}"]
    # panic=: a new system that dies must lead back to the old one (docs/adr/0012).
    words = f"root=PARTUUID={root.uuid} ro rootfstype=ext4 rootwait rauc.slot={slot} panic=10"
    return f"{words} fsck.repair=yes {board.cmdline}\n"
