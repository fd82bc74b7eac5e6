"""``make image``: the card image of a board, and the bundle of the same system for machines in the field.

    python -m tools.image BOARD --deb DEB [--output DIR] [--version V] [--keys DIR] [--no-bundle] [--root-json FILE]
                          [--zone ZONE] [--mirror URL] [--raspberry-mirror URL] [--raspberry-keyring FILE]

Writes DIR/story-BOARD-VERSION.img, and with keys DIR/story-BOARD-VERSION.raucb; beside each its list of parts and what is
known of their faults (docs/sbom.md), and beside the image its copyright files. Needs root, mmdebstrap, sfdisk, mtools, dosfstools,
e2fsprogs, and rauc with squashfs-tools for the bundle; qemu-user-static for another processor than this machine's.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

from base import zone
from base.files import write_atomically
from release.build import write_lists
from tools.emulation import EMULATOR, EmulationError, emulation, is_needed
from tools.image import build, parts
from tools.image.board import Board, read_board
from tools.image.card import MIB
from tools.image.native import strays
from tools.image.root import make_base, make_root, remove, slim
from wire.errors import FieldError, WireError

PROGRAMS = ("mmdebstrap", "sfdisk", "mcopy", "mkfs.vfat", "mke2fs", "dpkg-deb")
BUNDLE_PROGRAMS = ("rauc", "mksquashfs")
# What the firmware reads from the boot partitions.
FIRMWARES = ("boot/[!fs]*", "usr/lib/raspi-firmware", "usr/lib/linux-image-*")


def main() -> int:
    """Build the image; print its path and size; 1 if it cannot be built."""
    options = _options()
    try:
        board = read_board(options.board)
        emulated = is_needed(board.architecture)
        if missing := [
            it for it in _needed(options, emulated=emulated) if shutil.which(it) is None
        ]:
            print(f"image: not installed: {', '.join(missing)}", file=sys.stderr)
            return 1
        with emulation() if emulated else contextlib.nullcontext():
            made = _make(board, options)
        for path in made:
            print(f"{path} {path.stat().st_blocks * 512 // MIB} MiB on disk")
    except (WireError, EmulationError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"image: {' '.join(map(str, error.cmd))[:300]}: exit code {error.returncode}", file=sys.stderr)  # fmt: skip
        return 1
    except OSError as error:
        print(f"image: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make image", description="Build a card image.")
    parser.add_argument("board", help="pi, pi-debian or qemu: a file of systemd/image")
    parser.add_argument(
        "--deb", type=Path, required=True, help="the agent's package, of `make deb`"
    )
    parser.add_argument("--output", type=Path, default=Path("build/image"), metavar="DIR")
    parser.add_argument("--version", help="default: the package's; another one makes a bench's update")  # fmt: skip
    parser.add_argument("--keys", type=Path, help="folder with keyring.pem and rauc.key, for updates")  # fmt: skip
    parser.add_argument(
        "--no-bundle", dest="bundle", action="store_false", help="make the card alone"
    )
    parser.add_argument("--root-json", type=Path, help="the release repository's 1.root.json")
    parser.add_argument(
        "--zone", default="", type=zone_of, help="where the family lives, such as Asia/Shanghai; default: UTC"
    )  # fmt: skip
    parser.add_argument("--mirror", default="https://deb.debian.org/debian")
    parser.add_argument("--raspberry-mirror", default="https://archive.raspberrypi.com/debian")
    parser.add_argument(
        "--raspberry-keyring",
        default="/usr/share/keyrings/raspberrypi-archive-keyring.gpg",
        help="the file with the key of Raspberry Pi's archive",
    )
    return parser.parse_args()


def zone_of(text: str) -> str:
    """Return ``--zone``; raises ArgumentTypeError for one that this computer does not know."""
    if not zone.has(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected {zone.EXPECTED}")
    return text


def _needed(options: argparse.Namespace, *, emulated: bool) -> list[str]:
    """Return the programs that must be there; arch-test: mmdebstrap asks it whether the emulator runs."""
    bundle = BUNDLE_PROGRAMS if options.keys and options.bundle else ()
    return [*PROGRAMS, *bundle, *((EMULATOR, "arch-test") if emulated else ())]


def _make(board: Board, options: argparse.Namespace) -> list[Path]:
    """Make the image and what belongs beside it; return those that are flashed or released."""
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)
    version = options.version or _field(options.deb, "Version")
    work = output / f"work-{board.name}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    sbom, copyrights = _make_tree(board, options, version, work)
    settings = build.settings_of(has_root_file=options.root_json is not None, zone=options.zone)
    images = _make_partitions(board, work, settings)
    made = [output / f"story-{board.name}-{version}.img"]
    build.make_card(board, images, made[0])
    write_atomically(output / f"{made[0].name}.copyright.tar.gz", copyrights)
    if options.keys and options.bundle:
        made.append(made[0].with_suffix(".raucb"))
        build.make_bundle(version, images, options.keys, made[1])
    for path in made:
        write_lists(path, sbom, int(time.time()))
    shutil.rmtree(work)
    return made


def _make_tree(
    board: Board, options: argparse.Namespace, version: str, work: Path
) -> tuple[bytes, bytes]:
    """Lay out the root below ``work``; return its list of parts, and a tar.gz of its copyright files."""
    variables = {
        "mirror": options.mirror,
        "raspberry_mirror": options.raspberry_mirror,
        "raspberry_keyring": options.raspberry_keyring,
    }
    root = work / "root"
    base = make_base(board, variables, options.output)
    deb = reversioned(options.deb, version, work)
    keyring = options.keys / "keyring.pem" if options.keys else None
    make_root(board, base, deb, root, keyring)
    lists = parts.add_list(root, board.name, board.suite, version), parts.pack_copyrights(root)
    slim(board, root)
    if wrong := strays(root, board.architecture):
        raise FieldError(
            "root", ", ".join(map(str, wrong[:5])), f"programs of {board.architecture} alone"
        )
    if options.root_json:
        shutil.copy(options.root_json, root / build.ROOT_FILE)
    return lists


def _make_partitions(board: Board, work: Path, settings: str) -> dict[str, Path]:
    """Make the partitions' images below ``work``, by their names."""
    images = {name: work / f"{name}.img" for name in board.mebibytes}
    build.make_boot(board, work / "root", images["boot"])
    build.make_select(board, work / "root", images["select"])
    remove(work / "root", FIRMWARES)
    build.make_root_image(board, work / "root", images["root"])
    build.make_data(board, images["data"], settings)
    return images


def _field(deb: Path, name: str) -> str:
    words = ["dpkg-deb", "--field", str(deb), name]
    return subprocess.run(
        words, check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def reversioned(deb: Path, version: str, folder: Path) -> Path:
    """Return the package, or a copy of it that differs in its version alone."""
    old = _field(deb, "Version")
    if old == version:
        return deb
    tree = folder / "deb"
    subprocess.run(["dpkg-deb", "-R", str(deb), str(tree)], check=True, timeout=600)
    (info,) = tree.glob("opt/*/lib/common/story_agent-*.dist-info")
    for path in (tree / "DEBIAN/control", info / "METADATA"):
        path.write_text(path.read_text().replace(f"\nVersion: {old}\n", f"\nVersion: {version}\n", 1))  # fmt: skip
    info.rename(info.with_name(f"story_agent-{version}.dist-info"))
    target = folder / f"story-agent_{version}.deb"
    words = ["dpkg-deb", "-Zgzip", "-b", str(tree), str(target)]
    subprocess.run(words, check=True, capture_output=True, timeout=600)
    shutil.rmtree(tree)
    return target


if __name__ == "__main__":
    sys.exit(main())
