"""Where a profile is found: a stick's folder, a stick that nothing has mounted, and what is no stick."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.first import places
from agent.first.places import (
    PlaceError,
    erase,
    find_on_boot,
    find_on_usb,
    mounted_sticks,
    names_in,
    unmounted_sticks,
)


def add_block(root: Path, name: str, number: str, bus: str) -> None:
    device = root / "devices" / bus / name
    device.mkdir(parents=True)
    (device / "dev").write_text(f"{number}\n")
    blocks = root / "class"
    blocks.mkdir(exist_ok=True)
    (blocks / name.rpartition("/")[2]).symlink_to(device)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    add_block(tmp_path, "mmcblk0", "179:0", "platform/mmc")
    add_block(tmp_path, "mmcblk0/mmcblk0p1", "179:1", "platform/mmc")
    add_block(tmp_path, "sda", "8:0", "pci/usb1/1-1")
    add_block(tmp_path, "sda/sda1", "8:1", "pci/usb1/1-1")
    add_block(tmp_path, "sdb", "8:16", "pci/usb2/2-1")  # without partitions
    stick = tmp_path / "a stick"
    stick.mkdir()
    name = str(stick).replace(" ", r"\040")
    (tmp_path / "mountinfo").write_text(
        f"29 1 179:1 / /boot/firmware rw - vfat /dev/mmcblk0p1 rw\n30 1 8:1 / {name} rw - vfat /dev/sda1 rw\n"
    )
    return tmp_path


def test_only_usb_devices_are_looked_at(root: Path) -> None:
    assert mounted_sticks(root / "class", root / "mountinfo") == [root / "a stick"]
    assert unmounted_sticks(root / "class", root / "mountinfo") == [Path("/dev/sdb")]
    (root / "mountinfo").write_text("")
    assert unmounted_sticks(root / "class", root / "mountinfo") == [
        Path("/dev/sda1"),
        Path("/dev/sdb"),
    ]
    assert mounted_sticks(root / "none", root / "mountinfo") == []


def test_a_stick_with_one_profile_without_one_and_with_two(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, ...]] = []

    def run(*command: str) -> None:
        calls.append(command)
        if command[0] == "mount":
            raise OSError("mount: /dev/sdb: can't read superblock")

    monkeypatch.setattr(places, "_run", run)
    stick = root / "a stick"

    def find() -> Path:
        with find_on_usb(root / "class", root / "mountinfo") as path:
            return path

    with pytest.raises(
        PlaceError, match=f"the USB stick has no story-agent.profile .looked in {stick}"
    ):
        find()
    (stick / "._story-agent.profile").write_text("of a Mac")
    (stick / "story-agent.profile").mkdir()
    with pytest.raises(PlaceError, match="has no"):
        find()
    (stick / "STORY-AGENT.PROFILE.JSON").write_text("{}")
    assert find() == stick / "STORY-AGENT.PROFILE.JSON"
    (stick / "story-agent.profile.txt").write_text("{}")
    with pytest.raises(PlaceError, match="the USB stick has 2 profiles"):
        find()
    assert calls[0][:3] == ("mount", "-o", "ro,nosuid,nodev,noexec")
    (root / "mountinfo").write_text("")
    with pytest.raises(PlaceError, match=r"no USB stick that can be read .*superblock"):
        find()


def test_a_mount_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing-there"), places._mounted(tmp_path / "nothing-there"):
        pass
    assert not list(tmp_path.glob("story-usb-*"))


def test_a_boot_folder_that_is_a_link_to_the_other_counts_once(tmp_path: Path) -> None:
    firmware = tmp_path / "firmware"
    firmware.mkdir()
    (tmp_path / "boot").symlink_to(firmware)
    (firmware / "story-agent.profile").write_text("{}")
    both = (firmware, tmp_path / "boot", tmp_path / "none")
    assert find_on_boot(both).name == "story-agent.profile"
    (firmware / "story-agent.profile").unlink()
    with pytest.raises(PlaceError, match="the boot partition has no"):
        find_on_boot(both)
    assert names_in(tmp_path / "none") == []


def test_an_erased_file_is_overwritten_first(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "the same cells"
    path.write_bytes(b"secret")
    other.hardlink_to(path)
    erase(path)
    assert not path.exists()
    assert other.read_bytes() == b"\0" * 6
