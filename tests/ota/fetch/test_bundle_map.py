"""The computation of the blocks that a machine lacks: its result for any images, and its memory."""

from __future__ import annotations

import hashlib
import random
import tracemalloc
import zlib
from array import array
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.errors import (
    ContentError,
)
from ota.fetch.bundle_map import (
    BLOCK,
    BundleMap,
    StoredFile,
    block_key,
    block_keys,
    blocks_lacking,
    parse_map,
)
from tests.ota.bundle import (
    needs_squashfs,
)
from wire.errors import WireError

PIECE = 64 * 1024  # the size of one data block of the index


def pieces(index: bytes) -> list[bytes]:
    return [index[at : at + PIECE] for at in range(0, len(index), PIECE)]


def test_a_block_is_known_by_what_its_line_in_the_index_says() -> None:
    blocks = [random.Random(seed).randbytes(BLOCK) for seed in range(5)]
    index = b"".join(hashlib.sha256(block).digest() for block in blocks)
    assert list(block_keys([index[:64], index[64:]])) == [block_key(block) for block in blocks]


@given(st.lists(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 2**64 - 1)), st.data())
def test_the_blocks_lacking_are_those_that_are_nowhere_on_the_machine(
    wanted: list[int], here: list[int], data: st.DataObject
) -> None:
    shared = data.draw(st.lists(st.sampled_from(wanted))) if wanted else []
    lacking = sorted(blocks_lacking(wanted, [*here, *shared]))
    assert lacking == [n for n, key in enumerate(wanted) if key not in {*here, *shared}]


@given(st.sets(st.integers(0, 63)), st.sets(st.integers(0, 15)))
def test_chunks_that_hold_a_lacking_block_are_fetched_and_no_others(
    lacking: set[int], unstored: set[int]
) -> None:
    # 64 blocks of 4 KiB in 16 data blocks of 16 KiB each, stored raw from byte 8192 on.
    stored = tuple(0 if number in unstored else 4 * BLOCK for number in range(16))
    image = StoredFile(8192, 64 * BLOCK, stored, bytes([1]) * 16, is_whole=True)
    index = StoredFile(0, 64 * 32, (64 * 32,), bytes([1]), is_whole=True)
    found = BundleMap(2**20, bytes(32 * 64), 4 * BLOCK, image, index)
    wanted = found.union(found.holding(lacking))
    touched = [extent for n, extent in enumerate(image.extents()) if n in {b // 4 for b in lacking}]
    expected = {
        c for at, size in touched if size for c in range(at // 16384, -(-(at + size) // 16384))
    }
    assert wanted == sorted(expected)


@pytest.mark.parametrize("short", [33, 64 * 32 - 32, 64 * 32 - 1])
def test_an_index_that_is_shorter_than_the_map_says_is_refused(short: int) -> None:
    image = StoredFile(8192, 64 * BLOCK, (4 * BLOCK,) * 16, bytes([1]) * 16, is_whole=True)
    packed = zlib.compress(bytes(short))
    index = StoredFile(0, 64 * 32, (len(packed),), bytes([0]), is_whole=True)
    bundle = BundleMap(2**20, bytes(32 * 64), 4 * BLOCK, image, index)
    with pytest.raises(ContentError, match=f"has {short} bytes, expected 2048"):
        block_keys(bundle.read_index(lambda _offset, _length: packed))


def test_a_machine_holds_some_bytes_for_each_block_and_not_its_hash() -> None:
    blocks = 16_384  # an image of 64 MiB
    index = pieces(random.Random(1).randbytes(blocks * 32))
    here = array("Q", random.Random(2).randbytes(blocks * 8))
    tracemalloc.start()
    try:
        wanted = block_keys(index)
        kept, _peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        lacking = sum(1 for _number in blocks_lacking(wanted, here))
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lacking == blocks
    assert kept < 16 * blocks
    assert peak - kept < 16 * blocks


def test_runs_of_chunks_are_joined_each_chunk_once() -> None:
    image = StoredFile(0, BLOCK, (BLOCK,), bytes([1]), is_whole=True)
    found = BundleMap(10 * 16384 + 1, bytes(32 * 11), 65536, image, image)
    runs = chain([range(3, 5), range(4, 7)], [range(0), range(10, 11)])
    assert found.union(runs) == [3, 4, 5, 6, 10]


@needs_squashfs
def test_it_reads_as_it_was_written(built: tuple[bytes, bytes]) -> None:
    bundle, data = built
    found = parse_map(data)
    assert found.to_bytes() == data
    assert found.length == len(bundle)
    assert all(
        found.fits(chunk, bundle[start : start + length])
        for chunk in found.chunks
        for start, length in [found.span(chunk)]
    )


@needs_squashfs
def test_what_is_no_map_is_refused_by_name(built: tuple[bytes, bytes]) -> None:
    line, tables = built[1].split(b"\n", 1)
    for data in (
        b"",
        b"{}",
        line,
        line + b"\n" + tables[:-1],
        line + b"\n" + tables + b"x",
        line.replace(b'"format": 1', b'"format": 2') + b"\n" + tables,
        line.replace(b'"blockSize": 65536', b'"blockSize": 65535') + b"\n" + tables,
        line.replace(b'"blockSize": 65536', b'"blockSize": 0') + b"\n" + tables,
        line + b"\n" + tables[:-4] + b"\xff\xff\xff\x00",
    ):
        with pytest.raises(WireError, match=r"map|format|blockSize|image|index"):
            parse_map(data)


@needs_squashfs
def test_any_bytes_are_a_map_or_refused(built: tuple[bytes, bytes]) -> None:
    chance = random.Random(3)
    for _case in range(300):
        data = bytearray(built[1])
        for _change in range(chance.randrange(1, 4)):
            data[chance.randrange(min(len(data), 400))] = chance.randrange(256)
        try:
            found = parse_map(bytes(data))
        except WireError:
            continue
        assert set(found.union(found.always())) <= set(found.chunks)
