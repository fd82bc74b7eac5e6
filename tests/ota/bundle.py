"""Bundles without RAUC: a squashfs with an image and its block-hash-index, and a reader that reads as RAUC does."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import threading
import zlib
from pathlib import Path

import pytest

from ota.errors import IncompletePackageError
from ota.fetch.bundle_map import BLOCK
from ota.install.installer import Progress, Standing
from ota.trust.target import Target
from release.cli import main
from release.repository import Repository
from release.squash import read_squashfs

needs_squashfs = pytest.mark.skipif(
    shutil.which("mksquashfs") is None, reason="needs Debian's squashfs-tools"
)
BLOCKS = 1024
# In place of the hash tree and the signature, which follow the squashfs in a bundle.
TAIL = b"tree and signature" * 1000


def make_image(seed: int = 1) -> bytearray:
    """Return an image that hardly compresses, with some blocks of zeros."""
    image = bytearray(random.Random(seed).randbytes(BLOCKS * BLOCK))
    image[100 * BLOCK : 120 * BLOCK] = bytes(20 * BLOCK)
    return image


def change(image: bytearray, *blocks: int) -> bytearray:
    """Return the image with other bytes in some blocks."""
    changed = bytearray(image)
    for block in blocks:
        changed[block * BLOCK : (block + 1) * BLOCK] = random.Random(block).randbytes(BLOCK)
    return changed


def index_of(image: bytes | bytearray) -> bytes:
    pieces = (image[at : at + BLOCK] for at in range(0, len(image), BLOCK))
    return b"".join(hashlib.sha256(piece).digest() for piece in pieces)


def make_bundle(path: Path, image: bytes | bytearray, index: bytes | None = None) -> Path:
    folder = path.with_suffix(".content")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "manifest.raucm").write_text("[update]\n")
    (folder / "rootfs.img").write_bytes(image)
    if index != b"":
        (folder / "rootfs.img.block-hash-index").write_bytes(index or index_of(image))
    path.unlink(missing_ok=True)
    form = ["-b", "64k", "-no-fragments", "-all-root", "-noappend"]
    command = ["mksquashfs", str(folder), str(path), *form]
    subprocess.run(command, check=True, capture_output=True)
    with path.open("ab") as file:
        file.write(TAIL)
    return path


class Rauc:
    """Installs as RAUC does in adaptive mode; reading a hole is an input/output error."""

    needs_reboot = True

    def __init__(self, running: Path, other: Path) -> None:
        self.running = running
        self.other = other
        self.tries = 0
        self.failure: Exception | None = None

    def running_image(self) -> Path:
        return self.running

    def install(
        self, package: Path, target: Target, stop: threading.Event, progress: Progress
    ) -> None:
        assert not stop.is_set()
        self.tries += 1
        progress(0, target.length)
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        try:
            self.other.write_bytes(self._adapt(package))
        except (zlib.error, ValueError) as error:
            raise IncompletePackageError("RAUC: Input/output error") from error
        progress(target.length, target.length)

    def _adapt(self, package: Path) -> bytes:
        here = self.running.read_bytes()
        known = {
            hashlib.sha256(here[at : at + BLOCK]).digest(): here[at : at + BLOCK]
            for at in range(0, len(here), BLOCK)
        }
        with package.open("rb") as file:
            file.seek(-len(TAIL), 2)
            if file.read() != TAIL:
                raise ValueError("no signature")
            layout = read_squashfs(file)
            _manifest, image, index = sorted(
                layout.files, key=lambda stored: (stored.size > 1000, -stored.size)
            )
            blocks: dict[int, bytes] = {}

            def block(number: int) -> bytes:
                if number not in blocks:
                    offset, length = list(image.extents())[number]
                    file.seek(offset)
                    data = file.read(length) if length else bytes(layout.block_size)
                    raw = image.raw[number] or not length
                    blocks[number] = data if raw else zlib.decompress(data)
                return blocks[number]

            offset = index.start
            parts = []
            for (offset, length), raw in zip(index.extents(), index.raw, strict=True):
                file.seek(offset)
                data = file.read(length)
                parts.append(data if raw else zlib.decompress(data))
            hashes = b"".join(parts)
            result = []
            for number in range(len(hashes) // 32):
                wanted = hashes[number * 32 : number * 32 + 32]
                if wanted not in known:
                    place = number * BLOCK
                    inner = place % layout.block_size
                    piece = block(place // layout.block_size)[inner : inner + BLOCK]
                    if hashlib.sha256(piece).digest() != wanted:
                        raise ValueError(f"a hole in block {number}")
                    known[wanted] = piece
                result.append(known[wanted])
        return b"".join(result)

    def activate(self, version: str, transaction: str) -> None:
        """Nothing of it is looked at."""

    def confirm(self) -> None:
        """Nothing of it is looked at."""

    def roll_back(self, reason: str) -> None:
        """Nothing of it is looked at."""

    def standing(self) -> Standing:
        return Standing()

    def examine(self, version: str) -> list[str]:
        raise AssertionError(version)

    def collect(self, running: str) -> None:
        """Do nothing: there are no remains."""


def add_bundle(repository: Repository, file: Path, keys: Path) -> int:
    words = ["add", str(file), "--repo", str(repository.folder), "--keys", str(keys)]
    return main([*words, "--product", "p", "--version", "1.1.0", "--installer", "rauc"])
