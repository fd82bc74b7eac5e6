"""The card image's pure parts: the boards' files, the partition table, and the firmware's texts."""

from __future__ import annotations

import argparse
import itertools
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.settings import parse_settings
from tests.vm.card import choose_files, choose_partition
from tools.image import __main__ as image_main
from tools.image import build
from tools.image import root as image_root
from tools.image.board import FOLDER, SIZES, Board, parse_board, read_board
from tools.image.card import (
    BOOT_PARTITIONS,
    DISK_ID,
    GAP_MIB,
    MIB,
    autoboot,
    card_mib,
    cmdline,
    config,
    lay_out,
    script,
)
from tools.image.root import ENABLED, MASKED, PACKAGES
from wire.errors import WireError

BOARDS = sorted(path.stem for path in FOLDER.glob("*.toml"))
RAUC = FOLDER.parent / "rauc"
FILES = FOLDER / "files"


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest) -> Board:
    return read_board(request.param)


def test_there_is_a_pi_of_either_archive_and_its_twin() -> None:
    assert BOARDS == ["pi", "pi-debian", "qemu"]


@pytest.mark.parametrize("name", ["pi", "pi-debian"])
def test_nobody_gets_a_shell_on_what_is_sold(name: str) -> None:
    pi = read_board(name)
    assert not pi.bench_shell
    assert not pi.slow
    assert "console=" not in pi.cmdline
    assert not {"openssh-server", "dropbear"} & {*PACKAGES, *pi.packages}
    assert {"getty@tty1.service", "serial-getty@.service"} <= {*MASKED}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("slow = false", "slow = 0"), "slow: got 0, expected true or false"),
        (("slow = false", ""), 'slow: got "missing"'),
        (("slow = false", "slow = false\nfast = 1"), 'fast: got "unknown"'),
        (("data = 256", "data = 1"), "mebibytes.data: got 1, expected an integer of at least 33"),
        (("data = 256", "data = 256\nmore = 40"), "mebibytes"),
        (("unwanted = []", 'unwanted = [["x"]]'), "unwanted"),
        (('["boot/vmlinuz-*-rpi-v8", ', "["), "glob below the root"),
        (('"boot/vmlinuz-', '"/boot/vmlinuz-'), "glob below the root"),
        (("slow = false", "slow = "), "Invalid value"),
    ],
)
def test_a_fault_in_a_boards_file_is_named(change: tuple[str, str], told: str) -> None:
    text = (FOLDER / "pi.toml").read_text("utf-8")
    assert change[0] in text
    with pytest.raises(WireError, match=re.escape(told)):
        parse_board("pi", text.replace(*change, 1))


def test_an_unknown_board_is_answered_with_those_there_are() -> None:
    with pytest.raises(WireError, match='BOARD: got "pi9", expected one of pi, pi-debian, qemu'):
        read_board("pi9")


@given(sizes=st.fixed_dictionaries({name: st.integers(33, 8192) for name in SIZES}))
def test_partitions_neither_overlap_nor_leave_the_card(sizes: dict[str, int]) -> None:
    found = lay_out(replace(read_board("qemu"), mebibytes=sizes))
    by_name = {it.name: it for it in found}
    plain = sorted((it for it in found if it.name != "extended"), key=lambda it: it.start)
    assert plain[0].start == GAP_MIB
    for one, two in itertools.pairwise(plain):
        gap = GAP_MIB if two.number > 4 else 0
        assert one.start + one.size + gap == two.start
    outer = by_name["extended"]
    assert all(outer.start < it.start and it.start + it.size <= outer.start + outer.size for it in plain if it.number > 4)  # fmt: skip
    # The last on the card is the one that grows, and what holds it ends with it.
    assert plain[-1].name == "data"
    assert card_mib(found) == outer.start + outer.size
    assert by_name["root-a"].size == by_name["root-b"].size
    assert by_name["boot-a"].size == by_name["boot-b"].size


def test_sfdisk_makes_that_table_of_it(board: Board, tmp_path: Path) -> None:
    partitions = lay_out(board)
    image = tmp_path / "card"
    with image.open("wb") as file:
        file.truncate((card_mib(partitions) + 1) * MIB)
    subprocess.run(["sfdisk", "--quiet", image], input=script(partitions).encode(), check=True)
    made = json.loads(subprocess.run(["sfdisk", "--json", image], check=True, capture_output=True).stdout)  # fmt: skip
    table = made["partitiontable"]
    assert (table["label"], table["id"]) == ("dos", f"0x{DISK_ID}")
    found = {int(it["node"].removeprefix(str(image))): it for it in table["partitions"]}
    assert {it.number: (it.start * 2048, it.size * 2048, it.kind) for it in partitions} == {
        number: (it["start"], it["size"], it["type"]) for number, it in found.items()
    }


def test_each_slot_starts_its_own_root(board: Board) -> None:
    names = {it.number: it for it in lay_out(board)}
    for slot, number in BOOT_PARTITIONS.items():
        chosen = choose_files(config(board), number)
        assert chosen.cmdline == f"cmdline-{slot.lower()}.txt"
        words = cmdline(board, slot).split()
        assert f"rauc.slot={slot}" in words
        assert {"ro", "panic=10"} <= {*words}
        root = next(it for it in names.values() if it.name == f"root-{slot.lower()}")
        assert f"root=PARTUUID={root.uuid}" in words
        assert {chosen.kernel, chosen.initramfs} <= {name for _, name in board.boot}


def test_a_new_card_starts_slot_a_and_tries_slot_b() -> None:
    assert choose_partition(autoboot(), tryboot=False) == 2
    assert choose_partition(autoboot(), tryboot=True) == 3
    # The firmware reads no more.
    assert len(autoboot()) <= 512


def test_rauc_and_the_mounts_name_the_tables_partitions(board: Board) -> None:
    uuids = {it.name: it.uuid for it in lay_out(board)}
    conf = (RAUC / "system.conf").read_text()
    slots = dict(re.findall(r"\[slot\.(\S+)\]\ndevice=/dev/disk/by-partuuid/(\S+)", conf))
    assert slots == {
        "rootfs.0": uuids["root-a"], "rootfs.1": uuids["root-b"],
        "boot.0": uuids["boot-a"], "boot.1": uuids["boot-b"],
    }  # fmt: skip
    rule = (RAUC / "60-story-agent-root.rules").read_text()
    assert f'"{uuids["root-a"]}|{uuids["root-b"]}"' in rule
    mounts = dict(re.findall(r"^PARTUUID=(\S+)\s+(\S+)", (FILES / "etc/fstab").read_text(), re.MULTILINE))  # fmt: skip
    assert mounts == {uuids["data"]: "/data", uuids["select"]: "/boot/firmware"}
    for name in ("grow", "start"):
        text = (FILES / "usr/lib/story-machine" / name).read_text()
        assert DISK_ID in text
    assert (uuids["data"], uuids["data"].replace("-", "\\x2d")) == (
        "53544f52-07",
        "53544f52\\x2d07",
    )
    grow = (FILES / "usr/lib/systemd/system/story-machine-grow.service").read_text()
    # Its device comes and goes while the table changes: nothing may be mounted from it yet.
    assert re.search(r"^Before=.*53544f52\\x2d07.service data.mount ", grow, re.MULTILINE)


def test_what_is_taken_from_the_first_partition_waits_for_it() -> None:
    """`nofail` takes a mount out of local-fs.target: what came before it found no file there."""
    fstab = (FILES / "etc/fstab").read_text()
    assert re.search(r"^PARTUUID=\S+-01\s+/boot/firmware\s.*\bnofail\b", fstab, re.MULTILINE)
    for unit in (
        "usr/lib/systemd/system/story-machine-wifi.service",
        "etc/systemd/system/story-agent-import.service.d/story-machine.conf",
    ):
        assert re.search(r"^After=.*\bboot-firmware\.mount$", (FILES / unit).read_text(), re.MULTILINE), unit  # fmt: skip


def test_nothing_wears_out_the_card() -> None:
    fstab = [line.split() for line in (FILES / "etc/fstab").read_text().splitlines() if line and line[0] != "#"]  # fmt: skip
    assert not [line for line in fstab if line[2] == "swap"]
    assert all("noatime" in line[3] for line in fstab if line[2] in {"ext4", "vfat"})
    assert {line[1] for line in fstab if line[2] == "tmpfs"} == {"/var", "/tmp"}  # the mount's name
    journal = (FILES / "etc/systemd/journald.conf.d/story-machine.conf").read_text()
    assert "Storage=volatile" in journal
    assert re.search(r"RuntimeMaxUse=\d+M", journal)


def test_the_firmwares_hooks_are_gone_before_the_initramfs_is_made(
    tmp_path: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = [
        tmp_path / "etc/initramfs/post-update.d",
        *(tmp_path / f"etc/kernel/{it}.d" for it in ("postinst", "postrm")),
    ]
    for folder in (*hooks, tmp_path / "usr/lib/modules/6", tmp_path / "usr/share/story-machine"):
        folder.mkdir(parents=True)
    for folder in hooks:
        (folder / "z50-raspi-firmware").touch()
        (folder / "initramfs-tools").touch()
    left: dict[str, list[str]] = {}

    def chroot(folder: Path, program: str, *_: str) -> None:
        left[program] = [it.name for it in folder.glob("etc/*/*/*")]

    monkeypatch.setattr(image_root, "chroot", chroot)
    monkeypatch.setattr(image_root, "installed", lambda _: "")
    image_root.slim(board, tmp_path)
    assert left["update-initramfs"] == ["initramfs-tools"] * 3


def test_growth_is_not_stopped_while_it_may_still_wait() -> None:
    unit = (FILES / "usr/lib/systemd/system/story-machine-grow.service").read_text("utf-8")
    waits = re.findall(r"--timeout[= ](\d+)", (FILES / "usr/lib/story-machine/grow").read_text())
    (limit,) = re.findall(r"(?m)^TimeoutStartSec=(\d+)$", unit)
    assert int(limit) > sum(map(int, waits))


def test_a_machine_that_is_up_without_its_data_tries_again() -> None:
    unit = (FILES / "usr/lib/systemd/system/story-machine-data.service").read_text("utf-8")
    assert {
        "ConditionPathIsMountPoint=!/data",
        "SuccessAction=reboot",
        "ExecStart=/bin/sleep 60",
    } <= {*unit.splitlines()}
    assert "story-machine-data" in ENABLED


def test_a_start_that_fails_is_tried_again_by_itself() -> None:
    unit = (FILES / "etc/systemd/system/emergency.service.d/story-machine.conf").read_text("utf-8")
    lines = [it for it in unit.splitlines() if it and not it.startswith("#")]
    # Debian's own, which asks for a password, are taken out first.
    assert lines[:3] == ["[Service]", "ExecStartPre=", "ExecStart="]
    assert lines[3].endswith("sleep 60; exec systemctl --force reboot'")
    assert lines[4:] == ["StandardInput=null"]


@pytest.mark.parametrize("zone", ["", "Asia/Shanghai"])
@pytest.mark.parametrize("has_root_file", [False, True])
def test_the_settings_of_a_new_card_are_the_agents(zone: str, *, has_root_file: bool) -> None:
    settings = parse_settings(build.settings_of(has_root_file=has_root_file, zone=zone))
    assert settings.clock.zone == zone
    assert settings.switch.armed
    assert settings.ota.root_file.is_absolute() is has_root_file


def test_a_zone_of_no_family_is_refused_before_hours_of_building() -> None:
    assert image_main.zone_of("Asia/Shanghai") == "Asia/Shanghai"
    with pytest.raises(argparse.ArgumentTypeError, match="got 'Asia/Shangai', expected a zone"):
        image_main.zone_of("Asia/Shangai")
