"""Measures the memory that fetching a package of 1 GiB takes, as a whole and as parts of an image.

Each fetch runs in a separate process, after all modules are loaded; the peak is the kernel's VmHWM,
which is reset through /proc/self/clear_refs. The reference is the same with a package of 1 MiB.
Parts are measured twice: for a machine that lacks little of the image, and for one that lacks all
of it. MB are 1,000,000 bytes.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.download import MIB, server
from benchmarks.figures import Aim, Figure, command_line, figure
from ota.fetch.bundle_map import BLOCK
from ota.fetch.packages import fetch_package
from ota.install.rauc import RaucInstaller
from ota.settings import UpdaterSettings
from ota.trust.target import Target, map_file_name
from ota.trust.terms import MapFile
from release.bundle_maps import make_map
from tools.processes import BenchError
from wire.ota import InstallerKind, OtaOrder

LARGE, SMALL = 1024, 1
# Every 50th MiB of the image differs from the running image, in one block.
CHANGED_EVERY = 50
ROUNDS = 3
DEADLINE = 300.0
VERSION = "1.1.0"


class Running(RaucInstaller):
    """An installer whose running image is a file; nothing is installed."""

    def __init__(self, state: Path, image: Path) -> None:
        super().__init__(state, "1.0.0")
        self._image = image

    def running_image(self) -> Path:
        return self._image


@dataclass(frozen=True, slots=True)
class Package:
    """A bundle in a server's folder, its signed target, and two images that a machine may run."""

    folder: Path
    target: Target
    similar: Path
    other: Path


def make_package(folder: Path, mebibytes: int) -> Package:
    """Pack an image of that size with its block-hash-index, as `rauc bundle` does."""
    content = folder / "content"
    content.mkdir(parents=True)
    _make_images(folder, content / "rootfs.img", mebibytes)
    bundle = folder / "bundle"
    options = ["-b", "64k", "-no-fragments", "-all-root", "-noappend", "-quiet", "-no-progress"]
    subprocess.run(["mksquashfs", str(content), str(bundle), *options], check=True)
    shutil.rmtree(content)
    table = make_map(bundle).to_bytes()
    with bundle.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    map_file = MapFile(len(table), hashlib.sha256(table).hexdigest(), md5)
    (folder / map_file_name(VERSION, map_file.sha256)).write_bytes(table)
    size = bundle.stat().st_size
    target = Target(f"p/{VERSION}.tar.gz", size, sha256, VERSION, "p", None, map_file)
    return Package(folder, target, folder / "similar.img", folder / "other.img")


def _make_images(folder: Path, image: Path, mebibytes: int) -> None:
    chance = random.Random(1)
    index = image.with_name(f"{image.name}.block-hash-index")
    with (
        image.open("wb") as new,
        index.open("wb") as hashes,
        (folder / "similar.img").open("wb") as similar,
        (folder / "other.img").open("wb") as other,
    ):
        for number in range(mebibytes):
            piece = chance.randbytes(MIB)
            new.write(piece)
            other.write(chance.randbytes(MIB))
            changed = chance.randbytes(BLOCK) + piece[BLOCK:]
            similar.write(piece if number % CHANGED_EVERY else changed)
            for at in range(0, MIB, BLOCK):
                hashes.write(hashlib.sha256(piece[at : at + BLOCK]).digest())


def peak(package: Package, running: Path | None, url: str) -> float:
    """Fetch in a separate process; returns the peak growth of its memory in MB."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_fetch, args=(package, running, url, sender), daemon=True)
    process.start()
    try:
        if not receiver.poll(DEADLINE):
            raise BenchError(f"the package was not fetched within {DEADLINE:g} s")
        return float(receiver.recv())
    except EOFError as error:
        raise BenchError("the package could not be fetched") from error
    finally:
        process.terminate()
        process.join()


def _fetch(package: Package, running: Path | None, url: str, sender: Connection) -> None:
    import urllib3  # noqa: F401, PLC0415  # loaded before the measurement, as all other modules

    target = package.target
    assert target.map is not None
    order = OtaOrder("1", VERSION, "1.0.0", url, target.length, target.map.md5)
    with tempfile.TemporaryDirectory(prefix="story-bench-", dir=package.folder) as state:
        settings = UpdaterSettings(
            product="p",
            repository=url,
            root_file=Path(state, "root.json"),
            state_dir=Path(state),
            confirm_timeout=120.0,
            installer=InstallerKind.RAUC,
            delta=running is not None,
        )
        installer = Running(Path(state), running or package.similar)
        before = _status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # resets VmHWM
        fetch_package(order, target, settings, installer, threading.Event(), lambda _a, _b: None)
        sender.send((_status("VmHWM") - before) / 1e6)


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"/proc/self/status has no {name}")


def measure() -> list[Figure]:
    """Fetch both packages in each way, alternating."""
    if shutil.which("mksquashfs") is None:
        raise BenchError("mksquashfs is not installed")
    with tempfile.TemporaryDirectory(prefix="story-bench-") as name:
        large = make_package(Path(name, "large"), LARGE)
        small = make_package(Path(name, "small"), SMALL)
        return [
            _figure("the whole", large, small, lambda _package: None),
            _figure("parts, little lacking", large, small, lambda package: package.similar),
            _figure("parts, all lacking", large, small, lambda package: package.other),
        ]


def _figure(
    name: str, large: Package, small: Package, running: Callable[[Package], Path | None]
) -> Figure:
    grown: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for package, values in zip((large, small), grown, strict=True):
            with server(package.folder) as url:
                values.append(peak(package, running(package), f"{url}bundle"))
    title = f"memory of fetching {LARGE} MiB, {name}"
    return figure(title, "MB", grown[0], f"{SMALL} MiB", grown[1], Aim("ours", "<", 12.0))


if __name__ == "__main__":
    sys.exit(command_line(__doc__, measure))
