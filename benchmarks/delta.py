"""Measures the size of an update as a delta: bytes to download, by method and kind of change.

    python -m benchmarks.delta [OLD.img NEW.img NAME]...

Without arguments: packages of the agent built from this tree, with a small change (one line), a
large one (a third of the modules) and no change (a rebuild). With arguments: pairs of images.
Methods whose program is not installed (zstd, or zck of the Debian package zchunk) are skipped.
"""

from __future__ import annotations

import gzip
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from release.build import PACKAGES, build_release

BLOCK = 4096
ROOT = Path(__file__).parents[1]


def whole(_old: Path, new: Path) -> int:
    """Return the size of the new file, compressed as a package is."""
    size = 0
    packer = zlib.compressobj(6)
    with new.open("rb") as file:
        while piece := file.read(2**20):
            size += len(packer.compress(piece))
    return size + len(packer.flush())


def blocks(old: Path, new: Path) -> int:
    """Return the size of the 4 KiB blocks that the old file lacks, each compressed, and the index.

    This is RAUC's block-hash-index.
    """
    known = {digest for digest, _block in _blocks(old)}
    index = new.stat().st_size // BLOCK * 32
    size = index
    for digest, block in _blocks(new):
        if digest not in known:
            known.add(digest)
            size += len(zlib.compress(block, 6))
    return size


def _blocks(path: Path) -> Iterable[tuple[bytes, bytes]]:
    return _Blocks(path)


class _Blocks:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        with self._path.open("rb") as file:
            while block := file.read(BLOCK):
                yield hashlib.sha256(block).digest(), block


def patch(old: Path, new: Path) -> int | None:
    """Return the size of a patch for one pair of versions (zstd --patch-from): the lower limit."""
    if shutil.which("zstd") is None:
        return None
    out = new.with_suffix(".patch")
    command = [
        "zstd",
        "-q",
        "-f",
        "-9",
        "--long=31",
        f"--patch-from={old}",
        str(new),
        "-o",
        str(out),
    ]
    subprocess.run(command, check=True)
    size = out.stat().st_size
    out.unlink()
    return size


def chunks(old: Path, new: Path) -> int | None:
    """Return the size of the missing chunks with zchunk, which cuts chunks by content."""
    if shutil.which("zck") is None or shutil.which("zck_delta_size") is None:
        return None
    files = []
    for path in (old, new):
        out = path.with_name(path.name + ".zck")
        subprocess.run(["zck", "-o", str(out), str(path)], check=True, capture_output=True)
        files.append(str(out))
    text = subprocess.run(
        ["zck_delta_size", *files], check=True, capture_output=True, text=True
    ).stdout
    for name in files:
        Path(name).unlink()
    line = next(line for line in text.splitlines() if "Would download" in line)
    return int(line.split()[2])


WAYS: dict[str, Callable[[Path, Path], int | None]] = {
    "whole": whole,
    "block-hash-index": blocks,
    "zchunk": chunks,
    "zstd --patch-from": patch,
}


def packages(folder: Path) -> list[tuple[str, Path, Path]]:
    """Build the agent's package and changed versions of it; returns (name, old tar, new tar)."""
    old = _tar(folder, "old", "1.0.0", 0.0)
    return [
        ("agent, rebuilt", old, _tar(folder, "rebuilt", "1.0.0", 0.0)),
        ("agent, one line", old, _tar(folder, "small", "1.1.0", 0.0)),
        ("agent, a third of the modules", old, _tar(folder, "big", "1.1.0", 0.33)),
    ]


def _tar(folder: Path, name: str, version: str, share: float) -> Path:
    source = folder / name
    source.mkdir()
    for part in PACKAGES:
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    chance = random.Random(1)
    modules = sorted(source.rglob("*.py"))
    for path in modules[:1] if not share else chance.sample(modules, int(len(modules) * share)):
        if name not in {"old", "rebuilt"}:
            lines = path.read_text().splitlines(keepends=True)
            lines.insert(len(lines) // 2, f"# changed {chance.random()}\n")
            path.write_text("".join(lines))
    package = folder / f"{name}.tar.gz"
    build_release(version, package, product="story-machine", source=source)
    tar = folder / f"{name}.tar"
    tar.write_bytes(gzip.decompress(package.read_bytes()))
    return tar


def main() -> None:
    words = sys.argv[1:]
    with tempfile.TemporaryDirectory() as text:
        pairs = [(n, Path(o), Path(p)) for o, p, n in zip(*[iter(words)] * 3, strict=True)]
        print(f"| change | unpacked | {' | '.join(WAYS)} |\n|---|{'---:|' * (len(WAYS) + 1)}")
        for name, old, new in pairs or packages(Path(text)):
            sizes = [way(old, new) for way in WAYS.values()]
            cells = ["-" if size is None else f"{size / 1000:,.1f} kB" for size in sizes]
            print(
                f"| {name} | {new.stat().st_size / 1000:,.0f} kB | {' | '.join(cells)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
