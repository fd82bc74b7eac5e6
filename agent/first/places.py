"""Where a profile is looked for that a person has copied: the boot partition, and USB sticks.

A stick that nothing has mounted is mounted read-only for the moment, where that may be done.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.words import Words

NAME = "story-agent.profile"
# Editors and file managers of other systems add an ending that they do not show.
ENDINGS = ("", ".json", ".txt")
# Raspberry Pi OS 12 and newer, and older ones.
BOOT_FOLDERS = (Path("/boot/firmware"), Path("/boot"))
# Seconds for one stick; a bad one hangs in the kernel.
MOUNT_SECONDS = 10.0
_MOUNT = ("mount", "-o", "ro,nosuid,nodev,noexec")


class PlaceError(Exception):
    """There is no profile, or more than one; ``cause`` and ``remedy`` are for people."""

    def __init__(self, cause: Words, remedy: Words) -> None:
        """Use the words for people."""
        super().__init__(cause.en)
        self.cause = cause
        self.remedy = remedy


def names_in(folder: Path) -> list[Path]:
    """Return the profiles in ``folder`` by their names, however they are capitalised."""
    wanted = {NAME + ending for ending in ENDINGS}
    try:
        found = [entry for entry in folder.iterdir() if entry.name.lower() in wanted]
    except OSError:
        return []
    return sorted(path for path in found if path.is_file())


def choose(found: Sequence[Path], looked: Sequence[Path], place: Words) -> Path:
    """Return the one profile; raises PlaceError unless there is exactly one."""
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(str(path) for path in found)
        raise PlaceError(
            Words(f"{place.zh}有 {len(found)} 个身份文件：{named}", f"{place.en} has {len(found)} profiles: {named}"),
            Words("只留下这台设备的那一个", "leave only the one of this machine"),
        )  # fmt: skip
    named = ", ".join(str(path) for path in looked)
    raise PlaceError(
        Words(
            f"{place.zh}没有 {NAME}" + (f"（找过 {named}）" if named else ""),
            f"{place.en} has no {NAME}" + (f" (looked in {named})" if named else ""),
        ),
        Words(
            f"把这台设备的身份文件以 {NAME} 为名复制到那里的最上一层",
            f"copy this machine's profile to its top folder as {NAME}",
        ),
    )


def find_on_boot(folders: Sequence[Path] = BOOT_FOLDERS) -> Path:
    """Return the profile on the boot partition; raises PlaceError."""
    there = [folder for folder in folders if folder.is_dir()]
    # One may be a link to the other.
    found = {os.path.realpath(path): path for folder in there for path in names_in(folder)}
    return choose(list(found.values()), there, Words("启动分区", "the boot partition"))


@contextlib.contextmanager
def find_on_usb(
    blocks: Path = Path("/sys/class/block"), mounts: Path = Path("/proc/self/mountinfo")
) -> Iterator[Path]:
    """Yield the profile on a USB stick, which stays mounted that long; raises PlaceError."""
    with contextlib.ExitStack() as stack:
        folders = mounted_sticks(blocks, mounts)
        unseen: list[str] = []
        for device in unmounted_sticks(blocks, mounts):
            try:
                folders.append(stack.enter_context(_mounted(device)))
            except OSError as error:
                unseen.append(f"{device}: {error.strerror or error}")
        place = Words("U 盘", "the USB stick")
        if not folders:
            told = "; ".join(unseen)
            raise PlaceError(
                Words(
                    f"没有找到能读的 U 盘{f'（{told}）' if told else ''}",
                    f"there is no USB stick that can be read{f' ({told})' if told else ''}",
                ),
                Words("插好 U 盘（FAT32 或 exFAT）；没有挂载的要用 sudo", "plug one in (FAT32 or exFAT); one that is not mounted needs sudo"),
            )  # fmt: skip
        found = [path for folder in folders for path in names_in(folder)]
        yield choose(found, folders, place)


def mounted_sticks(blocks: Path, mounts: Path) -> list[Path]:
    """Return where file systems of USB devices are mounted."""
    numbers = {_number(block) for block in _sticks(blocks)}
    found = []
    for line in mounts.read_text("utf-8", "replace").splitlines():
        fields = line.split()
        if len(fields) > 4 and fields[2] in numbers:
            found.append(Path(fields[4].encode().decode("unicode_escape")))
    return found


def unmounted_sticks(blocks: Path, mounts: Path) -> list[Path]:
    """Return the device files of USB file systems that nothing has mounted."""
    text = mounts.read_text("utf-8", "replace")
    used = {line.split()[2] for line in text.splitlines() if len(line.split()) > 4}
    sticks = _sticks(blocks)
    free = [block for block in sticks if _number(block) not in used]
    # A disk with partitions is no file system itself.
    parents = {block.resolve().parent.name for block in sticks}
    return [Path("/dev", block.name) for block in free if block.name not in parents]


def _sticks(blocks: Path) -> list[Path]:
    """Return the block devices behind a USB port."""
    try:
        entries = sorted(blocks.iterdir())
    except OSError:
        return []
    return [entry for entry in entries if "/usb" in str(entry.resolve())]


def _number(block: Path) -> str:
    try:
        return (block / "dev").read_text("ascii").strip()
    except OSError:
        return ""


@contextlib.contextmanager
def _mounted(device: Path) -> Iterator[Path]:
    """Mount a stick read-only; raises OSError."""
    with tempfile.TemporaryDirectory(prefix="story-usb-") as folder:
        _run(*_MOUNT, str(device), folder)
        try:
            yield Path(folder)
        finally:
            _run("umount", "--lazy", folder)


def _run(*command: str) -> None:
    try:
        subprocess.run(  # noqa: S603  # words of ours, and a device file
            command, check=True, timeout=MOUNT_SECONDS, capture_output=True, text=True,
            env=os.environ | {"LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} did not end in {MOUNT_SECONDS:g} s") from error
    except subprocess.CalledProcessError as error:
        told = (error.stderr or "").strip().splitlines() or [f"{command[0]} failed"]
        raise OSError(told[0]) from error


def erase(path: Path) -> None:
    """Overwrite a file with zeros and remove it, durably; raises OSError.

    A FAT writes in place; flash may keep the old cells, which a tool for the chip alone reads.
    """
    with path.open("r+b") as file:
        file.write(b"\0" * path.stat().st_size)
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
