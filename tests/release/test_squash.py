"""Where a squashfs image stores its files: images of mksquashfs, and what is refused."""

from __future__ import annotations

import io
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from ota.errors import ContentError
from ota.fetch.bundle_map import unpack_file
from release.squash import read_squashfs
from tests.ota.bundle import needs_squashfs

pytestmark = needs_squashfs

BLOCK = 128 * 1024
# Random bytes are stored as they are, zeros are compressed.
CONTENT = random.Random(1).randbytes(2 * BLOCK) + bytes(2 * BLOCK)


def make_image(folder: Path, *options: str) -> bytes:
    (folder / "tree/sub").mkdir(parents=True)
    (folder / "tree/root.img").write_bytes(CONTENT)
    (folder / "tree/sub/small").write_bytes(b"small")
    where = [str(folder / "tree"), str(folder / "image")]
    command = ["mksquashfs", *where, "-b", str(BLOCK), *options]
    subprocess.run([*command, "-noappend", "-quiet", "-no-progress"], check=True, timeout=60)
    return (folder / "image").read_bytes()


@pytest.mark.parametrize("inodes", [(), ("-noI",)], ids=["compressed", "as they are"])
def test_the_bytes_of_a_file_are_where_the_layout_says(
    tmp_path: Path, inodes: Sequence[str]
) -> None:
    """A table of inodes that does not get smaller is stored as it is."""
    image = make_image(tmp_path, "-comp", "gzip", "-no-fragments", *inodes)
    layout = read_squashfs(io.BytesIO(image))
    assert layout.block_size == BLOCK
    assert sorted(stored.size for stored in layout.files) == [5, len(CONTENT)]
    large = max(layout.files, key=lambda stored: stored.size)
    assert large.is_whole
    unpacked = unpack_file(large, BLOCK, lambda offset, length: image[offset : offset + length])
    assert b"".join(unpacked) == CONTENT


def test_a_file_in_a_fragment_is_not_whole(tmp_path: Path) -> None:
    layout = read_squashfs(io.BytesIO(make_image(tmp_path, "-comp", "gzip")))
    assert [stored.is_whole for stored in layout.files if stored.size == 5] == [False]


@pytest.mark.parametrize("length", [0, 3, 95, 96, 400])
def test_an_image_that_ends_early_is_refused(tmp_path: Path, length: int) -> None:
    image = make_image(tmp_path, "-comp", "gzip", "-no-fragments")
    with pytest.raises(ContentError, match="bundle without a map"):
        read_squashfs(io.BytesIO(image[:length]))


def test_another_compression_is_refused(tmp_path: Path) -> None:
    image = make_image(tmp_path, "-comp", "xz")
    with pytest.raises(ContentError, match=r"expected squashfs 4\.0 with gzip"):
        read_squashfs(io.BytesIO(image))
