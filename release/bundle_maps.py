"""Makes the map of a RAUC bundle (`ota.fetch.bundle_map`), which is then signed with the bundle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from ota.fetch.bundle_map import (
    BLOCK,
    CHUNK,
    HASH_BYTES,
    IMAGE_MAX,
    BundleMap,
    unfit_bundle,
    unpack_file,
)
from release.squash import read_squashfs


def make_map(bundle: Path) -> BundleMap:
    """Make the map of a bundle, and verify that its index matches its image.

    Raises:
        ContentError: the bundle has no block-hash-index, or a layout that cannot be mapped.
        OSError: the bundle cannot be read.
    """
    with bundle.open("rb") as file:
        hashes, length = _hash_chunks(file)
        layout = read_squashfs(file)
        image = max(layout.files, key=lambda stored: stored.size, default=None)
        if image is None or image.size > IMAGE_MAX:
            raise unfit_bundle(f"expected an image of at most {IMAGE_MAX} bytes")
        wanted = image.size // BLOCK * HASH_BYTES
        index = next((stored for stored in layout.files if stored.size == wanted), None)
        if index is None or not image.is_whole or not index.is_whole or image.size % BLOCK:
            raise unfit_bundle(
                "expected an image with a block-hash-index, packed with -no-fragments"
            )
        made = BundleMap(length, hashes, layout.block_size, image, index)
        _check(made, file)
    return made


def _hash_chunks(file: BinaryIO) -> tuple[bytes, int]:
    hashes, length = [], 0
    while data := file.read(CHUNK):
        hashes.append(hashlib.sha256(data).digest())
        length += len(data)
    return b"".join(hashes), length


def _check(made: BundleMap, file: BinaryIO) -> None:
    def read(offset: int, length: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    index = hashlib.sha256()
    for hashes in made.read_index(read):
        index.update(hashes)
    found = hashlib.sha256()
    for data in unpack_file(made.image, made.block_size, read):
        for at in range(0, len(data), BLOCK):
            found.update(hashlib.sha256(data[at : at + BLOCK]).digest())
    if found.digest() != index.digest():
        raise unfit_bundle("the index is not the image's")
