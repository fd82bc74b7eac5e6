"""Makes the partitions' images, the card of them, and the bundle by which a machine updates itself to the same.

Everything is written with tools that work on files (mtools, mke2fs -d, sfdisk): no loop device, no mount.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.image.board import Board
from tools.image.card import MIB, autoboot, card_mib, cmdline, config, lay_out, script
from tools.image.root import USERS, run

# All roots have the same, so that directory blocks stay identical and a block delta finds them (docs/adr/0011).
ROOT_UUID = "5b6f1c1e-6f0e-4b0f-9d7a-3c9b2f7f4d11"
SETTINGS = """\
# Settings of this machine's agent; those not named have their defaults (story-agent config show).
[ota]
installer = "rauc"
{root_file}
[switch]
armed = true
{clock}"""
ROOT_FILE = "usr/share/story-machine/root.json"


def make_fat(path: Path, mebibytes: int, label: str, files: list[tuple[Path, str]]) -> None:
    """Make a FAT32 file system with ``files``, each (source, name or "folder/")."""
    _blank(path, mebibytes)
    # -F 32: the Pi 3's ROM; the same volume id each time, so that block deltas find the rest.
    run("mkfs.vfat", "-F", "32", "-i", "53544f52", "-n", label, path, stdout=subprocess.DEVNULL)
    folders = {name.rpartition("/")[0] for _, name in files} - {""}
    for folder in sorted(folders):
        run("mmd", "-i", path, f"::{folder}")
    for source, name in files:
        run("mcopy", "-i", path, "-o", source, f"::{name}")


def found(root: Path, pairs: tuple[tuple[str, str], ...]) -> list[tuple[Path, str]]:
    """Return the files of the root that ``pairs`` names; raises FileNotFoundError for a glob without one."""
    files = []
    for pattern, name in pairs:
        matches = sorted(root.glob(pattern))
        if not matches:
            raise FileNotFoundError(2, "the board's file names it, and no package has it", pattern)
        keeps = not name or name.endswith("/")
        files += [(it, name + it.name if keeps else name) for it in matches]
    return files


def make_boot(board: Board, root: Path, path: Path) -> None:
    """Make a slot's boot partition, the same for both."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        texts = {
            "config.txt": config(board),
            "cmdline-a.txt": cmdline(board, "A"),
            "cmdline-b.txt": cmdline(board, "B"),
            # For a firmware that does not know [boot_partition=N]: slot A starts, and a try of B is seen to have failed.
            "cmdline.txt": cmdline(board, "A"),
        }
        files = found(root, board.boot)
        for name, text in texts.items():
            Path(folder, name).write_text(text)
            files.append((Path(folder, name), name))
        make_fat(path, board.mebibytes["boot"], "BOOT", files)


def make_select(board: Board, root: Path, path: Path) -> None:
    """Make the first partition."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        text = Path(folder, "autoboot.txt")
        text.write_text(autoboot())
        files = [*found(root, board.select), (text, "autoboot.txt")]
        make_fat(path, board.mebibytes["select"], "STORY", files)


def make_root_image(board: Board, root: Path, path: Path) -> None:
    """Make the read-only root: no journal, since nothing is written, and blocks of 4 KiB for deltas."""
    _blank(path, board.mebibytes["root"])
    run("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-O", "^has_journal", "-m", "0", "-L", "root",
        "-U", ROOT_UUID, "-E", f"hash_seed={ROOT_UUID}", "-d", root, path)  # fmt: skip


def settings_of(*, has_root_file: bool, zone: str) -> str:
    """Return agent.toml of a new card; ``zone``: where the family lives, empty: its hours are UTC's."""
    return SETTINGS.format(
        root_file=f'root_file = "/{ROOT_FILE}"' if has_root_file else "",
        clock=f'[clock]\nzone = "{zone}"\n' if zone else "",
    )


def make_data(board: Board, path: Path, settings: str) -> None:
    """Make the partition that no update covers, with ``settings`` and the folders that the root's mounts expect."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        tree = Path(folder)
        for name in ("etc", "story-agent", "story-agent/media", "wifi", "clock"):
            (tree / name).mkdir()
        (tree / "etc/agent.toml").write_text(settings)
        agent = USERS["story-agent"]
        for name, mode in (("story-agent", 0o750), ("story-agent/media", 0o2755)):
            shutil.chown(tree / name, agent, agent)
            (tree / name).chmod(mode)
        tree.chmod(0o755)
        (tree / "wifi").chmod(0o700)
        _blank(path, board.mebibytes["data"])
        # resize_inode for up to 128 GiB, so that the first start can let it grow while it is mounted.
        run("mke2fs", "-q", "-t", "ext4", "-L", "data", "-m", "1", "-E", "resize=33554432",
            "-b", "4096", "-d", tree, path)  # fmt: skip


def make_card(board: Board, images: dict[str, Path], path: Path) -> None:
    """Put the partitions' images together; root and boot go to both slots."""
    partitions = lay_out(board)
    part = path.with_name(path.name + ".part")
    _blank(part, card_mib(partitions) + 1)
    run("sfdisk", "--quiet", part, input=script(partitions).encode())
    for it in partitions:
        image = images.get(it.name.split("-", maxsplit=1)[0])
        if image is not None:
            run("dd", f"if={image}", f"of={part}", "bs=1M", f"seek={it.start}", "conv=notrunc,sparse", "status=none")  # fmt: skip
    part.replace(path)


def make_bundle(version: str, images: dict[str, Path], keys: Path, path: Path) -> None:
    """Sign root and boot partition as one verity bundle, by ``keys``/rauc.key of ``keys``/keyring.pem."""
    path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for name, file in (("root", "rootfs.img"), ("boot", "boot.img")):
            Path(folder, file).hardlink_to(images[name])
        Path(folder, "manifest.raucm").write_text(
            f"[update]\ncompatible=story-machine\nversion={version}\n[bundle]\nformat=verity\n"
            "[image.rootfs]\nfilename=rootfs.img\nadaptive=block-hash-index\n[image.boot]\nfilename=boot.img\n"
        )
        words = [f"--cert={keys}/keyring.pem", f"--key={keys}/rauc.key", "bundle"]
        # Small data blocks: for any change, the whole block must be fetched. zstd, because gzip takes minutes for the same.
        run("rauc", *words, "--mksquashfs-args=-b 64k -no-fragments -comp zstd -Xcompression-level 3", folder, path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip


def _blank(path: Path, mebibytes: int) -> None:
    with path.open("wb") as file:
        file.truncate(mebibytes * MIB)
