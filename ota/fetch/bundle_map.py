"""The map of a RAUC bundle: which of its bytes an installation reads, and the hash of each chunk.

An image that is built with RAUC's ``adaptive=block-hash-index`` has an index with the SHA-256 of
each of its 4 KiB blocks. RAUC copies the blocks that the machine already has from the running slot,
and reads only the others from the bundle. The map says where they are in the bundle, so that the
machine fetches only those. The map is signed, so each chunk can be verified independently.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ota.errors import ContentError
from wire.errors import WireError
from wire.fields import get_int, get_object, parse_object
from wire.ota import SIZE_MAX, OtaEvent
from wire.records import dataclass

FORMAT = 1
# The unit of fetching and verifying. Smaller chunks need more hashes in the map (32 bytes each),
# larger ones fetch more bytes that are not needed; docs/adr/0011 has the figures.
CHUNK = 16 * 1024
# RAUC's index: blocks of this many bytes, with a hash of 32 bytes each.
BLOCK = 4096
HASH_BYTES = 32
# The first bytes of a bundle, always fetched: the kernel and udev read them when the bundle is
# mounted, and RAUC would reject a bundle with a hole under dm-verity.
HEAD = 512 * 1024
# A machine holds in memory 8 bytes for each block of the new and of the running image, and 34 bytes
# for each chunk: 13 MB of tables at this size.
IMAGE_MAX = 2 * 2**30
# Blocks are compared in this many parts, so that only one part at a time is a set in memory.
_PARTS = 32
_BLOCK_SIZES = tuple(2**power for power in range(12, 21))
_RAW = 1 << 24
_WORD = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file: its data blocks follow one another from ``start``.

    Attributes:
        start: where its first data block begins, bytes from the beginning of the image.
        size: of the file, in bytes.
        stored: bytes that each data block takes; 0: a block of zeros that is not stored.
        raw: 1 where the data block of that number is stored as it is, 0 where by zlib.
        is_whole: whether all of the file is in its data blocks, and no tail elsewhere.
    """

    start: int
    size: int
    stored: Sequence[int]
    raw: Sequence[int]
    is_whole: bool

    def extents(self) -> Iterator[tuple[int, int]]:
        """Return (offset, length) of each data block, in bytes."""
        offset = self.start
        for length in self.stored:
            yield offset, length
            offset += length


@dataclass(frozen=True, slots=True)
class BundleMap:
    """The layout of one bundle.

    Attributes:
        length: size of the bundle, in bytes.
        hashes: SHA-256 of each chunk, concatenated.
        block_size: bytes of a file that one data block of the squashfs holds.
        image: the root image.
        index: the file with the hashes of the image's blocks.
    """

    length: int
    hashes: bytes
    block_size: int
    image: StoredFile
    index: StoredFile

    @property
    def chunks(self) -> range:
        """The numbers of all chunks."""
        return range(-(-self.length // CHUNK))

    def span(self, chunk: int) -> tuple[int, int]:
        """Return the offset and the length of a chunk, in bytes."""
        start = chunk * CHUNK
        return start, min(CHUNK, self.length - start)

    def fits(self, chunk: int, data: bytes) -> bool:
        """Return whether ``data`` matches the hash of ``chunk``."""
        return (
            hashlib.sha256(data).digest()
            == self.hashes[chunk * HASH_BYTES : (chunk + 1) * HASH_BYTES]
        )

    def always(self) -> list[range]:
        """Return the runs of chunks that every installation reads: all but the image's data."""
        end = self.image.start + sum(self.image.stored)
        head = max(HEAD, self.image.start)
        return [_covering(0, min(head, self.length)), _covering(end, self.length - end)]

    def read_index(self, read: Callable[[int, int], bytes]) -> Iterator[bytes]:
        """Yield the hashes of the image's blocks, several at a time.

        ``read`` takes (offset, length) and returns those bytes of the bundle.

        Raises:
            ContentError: the map does not describe this bundle.
        """
        try:
            yield from unpack_file(self.index, self.block_size, read)
        except zlib.error as error:
            raise unfit_bundle(f"the index: {error}") from error

    def holding(self, blocks: Iterable[int]) -> Iterator[range]:
        """Yield the runs of chunks that hold the image's blocks with these numbers."""
        step = self.block_size // BLOCK
        touched = bytearray(len(self.image.stored))
        for block in blocks:
            touched[block // step] = 1
        for is_touched, (offset, length) in zip(touched, self.image.extents(), strict=True):
            if is_touched:
                yield _covering(offset, length)

    def union(self, runs: Iterable[range]) -> list[int]:
        """Return the numbers of all chunks in ``runs``, each once, in ascending order."""
        found = bytearray(len(self.chunks))  # a set would take a hundred times the memory
        for run in runs:
            found[run.start : run.stop] = bytes([1]) * len(run)
        return [chunk for chunk in self.chunks if found[chunk]]

    def to_bytes(self) -> bytes:
        """Serialize the map: one line of JSON, then the hashes and stored lengths in binary."""
        head = {
            "format": FORMAT,
            "length": self.length,
            "blockSize": self.block_size,
            "image": {"start": self.image.start, "size": self.image.size},
            "index": {"start": self.index.start, "size": self.index.size},
        }
        tables = [self.hashes, _words(self.image), _words(self.index)]
        return json.dumps(head).encode() + b"\n" + b"".join(tables)


def block_keys(index: Iterable[bytes]) -> array[int]:
    """Return the key of each block of an index: the first 8 bytes of its hash.

    A collision among a million blocks happens in one image in ten million. It costs a second
    installation and no more, because RAUC compares the whole hashes.
    """
    keys = array("Q")
    for hashes in index:
        words = array("Q", hashes)
        keys.extend(words[:: HASH_BYTES // words.itemsize])
    return keys


def block_key(block: bytes) -> int:
    """Return the key of one block, the same as in `block_keys`."""
    return int.from_bytes(hashlib.sha256(block).digest()[:8], sys.byteorder)


def blocks_lacking(wanted: Sequence[int], here: Sequence[int]) -> Iterator[int]:
    """Yield the numbers of the blocks of ``wanted`` that ``here`` lacks; both are `block_keys`."""
    for part in range(_PARTS):
        known = {key for key in here if key % _PARTS == part}
        for number, key in enumerate(wanted):
            if key % _PARTS == part and key not in known:
                yield number


def _covering(offset: int, length: int) -> range:
    """Return the chunks that hold the dm-verity blocks (4 KiB each) of a range of bytes."""
    if not length:
        return range(0)
    end = -(-(offset + length) // BLOCK) * BLOCK
    return range(offset // CHUNK, -(-end // CHUNK))


def unpack_file(
    file: StoredFile, block_size: int, read: Callable[[int, int], bytes]
) -> Iterator[bytes]:
    """Return the bytes of each data block of ``file``.

    Args:
        file: where it lies.
        block_size: bytes of the file that one data block holds.
        read: returns the bytes of the bundle from an offset on, a number of them.

    Raises:
        ContentError: a block does not have the size that it should.
        zlib.error: a block is damaged.
    """
    for number, (offset, length) in enumerate(file.extents()):
        size = min(block_size, file.size - number * block_size)
        data = read(offset, length) if length else bytes(size)
        if length and not file.raw[number]:
            data = zlib.decompressobj().decompress(data, size)
        if len(data) != size:
            raise unfit_bundle(f"data block {number} has {len(data)} bytes, expected {size}")
        yield data


def _words(file: StoredFile) -> bytes:
    words = (length | _RAW * raw for length, raw in zip(file.stored, file.raw, strict=True))
    return struct.pack(f"<{len(file.stored)}I", *words)


def parse_map(data: bytes) -> BundleMap:
    """Parse a map; raises WireError naming the member and what was expected."""
    end = data.find(b"\n") % (len(data) + 1)  # without a newline, all of it is the line
    head = parse_object(data[:end], "map")
    tables = memoryview(data)[end + 1 :]  # megabytes: not copied
    get_int(head, "format", low=FORMAT, high=FORMAT)
    length = get_int(head, "length", low=1, high=SIZE_MAX)
    block_size = get_int(head, "blockSize", low=BLOCK, high=_BLOCK_SIZES[-1])
    files = {name: _parse_place(head, name, length) for name in ("image", "index")}
    hashes = -(-length // CHUNK) * HASH_BYTES
    counts = [-(-file.size // block_size) for file in files.values()]
    expected = hashes + 4 * sum(counts)
    if block_size not in _BLOCK_SIZES or len(tables) != expected:
        raise WireError(f"map: its tables have {len(tables)} bytes, expected {expected}")
    if files["index"].size != files["image"].size // BLOCK * HASH_BYTES:
        raise WireError("map: index.size: not that of image.size")
    end = hashes + 4 * counts[0]
    image = _place(files["image"], tables[hashes:end], length)
    index = _place(files["index"], tables[end:], length)
    return BundleMap(length, bytes(tables[:hashes]), block_size, image, index)


def _parse_place(head: dict[str, object], name: str, length: int) -> StoredFile:
    place = get_object(head, name)
    start = get_int(place, "start", path=f"{name}.", high=length)
    size = get_int(place, "size", path=f"{name}.", low=1, high=IMAGE_MAX)
    return StoredFile(start, size, (), (), is_whole=True)


def _place(file: StoredFile, words: memoryview, length: int) -> StoredFile:
    stored = array("I", (word & (_RAW - 1) for (word,) in _WORD.iter_unpack(words)))
    if file.start + sum(stored) > length:
        raise WireError(f"map: a file ends behind byte {length}")
    raw = bytes(bool(word & _RAW) for (word,) in _WORD.iter_unpack(words))
    return replace(file, stored=stored, raw=raw)


def unfit_bundle(detail: str) -> ContentError:
    """Return the error for a bundle that no map can describe."""
    return ContentError("bundle without a map", detail, OtaEvent.IMAGE_INVALID)
