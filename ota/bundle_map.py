"""The map of a RAUC bundle: which of its bytes an installation reads, and the hash of each chunk.

An image that is built with RAUC's ``adaptive=block-hash-index`` carries the SHA-256 of each of its
blocks of 4 KiB. RAUC takes the blocks that the machine has from there, and reads only the others from
the bundle. The map says where in the bundle they are, so that the machine fetches no more than that;
and as the map is signed, each chunk can be checked by itself.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ota.errors import ContentError
from ota.squash import StoredFile, read_squashfs
from wire.errors import WireError
from wire.fields import get_int, get_object, parse_object
from wire.ota import SIZE_MAX, OtaEvent

FORMAT = 1
# What is fetched and checked at once. Smaller costs more hashes in the map (32 bytes each), larger
# more bytes beside each one that is needed; docs/adr/0011 has the figures.
CHUNK = 16 * 1024
# RAUC's index: blocks of this many bytes, 32 bytes of hash each.
BLOCK = 4096
_HASH = 32
# What is always fetched from the beginning: the kernel and udev read there when the bundle is mounted,
# and a hole under dm-verity would make RAUC refuse it.
HEAD = 512 * 1024
# A machine holds the index of the image in memory, about 100 bytes a block: 50 MB at this size.
IMAGE_MAX = 2 * 2**30
_BLOCK_SIZES = tuple(2**power for power in range(12, 21))
_RAW = 1 << 24


@dataclass(frozen=True, slots=True)
class BundleMap:
    """Where the parts of one bundle are.

    Attributes:
        length: of the bundle, in bytes.
        hashes: SHA-256 of each chunk, one after the other.
        block_size: bytes of a file that one data block of the squashfs holds.
        image: the root image.
        index: the hashes of the image's blocks.
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
        """Return where a chunk begins and how many bytes it has."""
        start = chunk * CHUNK
        return start, min(CHUNK, self.length - start)

    def fits(self, chunk: int, data: bytes) -> bool:
        """Tell whether ``data`` are the bytes of that chunk."""
        return hashlib.sha256(data).digest() == self.hashes[chunk * _HASH : (chunk + 1) * _HASH]

    def always(self) -> set[int]:
        """Return the chunks that every installation reads: all but the image's data."""
        end = self.image.start + sum(self.image.stored)
        head = max(HEAD, self.image.start)
        return {*_covering(0, min(head, self.length)), *_covering(end, self.length - end)}

    def read_index(self, read: Callable[[int, int], bytes]) -> bytes:
        """Return the hashes of the image's blocks; ``read`` gives (offset, length) of the bundle.

        Raises:
            ContentError: the map does not describe this bundle.
        """
        try:
            data = b"".join(_unpack(self.index, self.block_size, read))
        except zlib.error as error:
            raise _unfit(f"the index: {error}") from error
        if len(data) != self.index.size:
            raise _unfit(f"the index has {len(data)} bytes, expected {self.index.size}")
        return data

    def holding(self, index: bytes, lacking: set[bytes]) -> set[int]:
        """Return the chunks that hold the image's blocks whose hash is in ``lacking``."""
        step = self.block_size // BLOCK * _HASH
        found: set[int] = set()
        for number, (offset, length) in enumerate(self.image.extents()):
            part = index[number * step : (number + 1) * step]
            if any(part[at : at + _HASH] in lacking for at in range(0, len(part), _HASH)):
                found.update(_covering(offset, length))
        return found

    def to_bytes(self) -> bytes:
        """Render the map: a line of JSON, then hashes and stored lengths in binary."""
        head = {
            "format": FORMAT,
            "length": self.length,
            "blockSize": self.block_size,
            "image": {"start": self.image.start, "size": self.image.size},
            "index": {"start": self.index.start, "size": self.index.size},
        }
        tables = [self.hashes, _words(self.image), _words(self.index)]
        return json.dumps(head).encode() + b"\n" + b"".join(tables)


def blocks_of(index: bytes) -> set[bytes]:
    """Return the hashes of an index that are not of a block of zeros, which nobody has to fetch."""
    found = {index[at : at + _HASH] for at in range(0, len(index), _HASH)}
    return found - {hashlib.sha256(bytes(BLOCK)).digest()}


def _covering(offset: int, length: int) -> range:
    """Return the chunks that the blocks of dm-verity, 4 KiB each, around some bytes are in."""
    if not length:
        return range(0)
    end = -(-(offset + length) // BLOCK) * BLOCK
    return range(offset // CHUNK, -(-end // CHUNK))


def _unpack(
    file: StoredFile, block_size: int, read: Callable[[int, int], bytes]
) -> Iterator[bytes]:
    for number, (offset, length) in enumerate(file.extents()):
        size = min(block_size, file.size - number * block_size)
        data = read(offset, length) if length else bytes(size)
        if length and not file.raw[number]:
            data = zlib.decompressobj().decompress(data, size)
        yield data


def _words(file: StoredFile) -> bytes:
    words = (length | _RAW * raw for length, raw in zip(file.stored, file.raw, strict=True))
    return struct.pack(f"<{len(file.stored)}I", *words)


def parse_map(data: bytes) -> BundleMap:
    """Read a map; raises WireError naming the member and what was expected."""
    line, _newline, tables = data.partition(b"\n")
    head = parse_object(line, "map")
    get_int(head, "format", low=FORMAT, high=FORMAT)
    length = get_int(head, "length", low=1, high=SIZE_MAX)
    block_size = get_int(head, "blockSize", low=BLOCK, high=_BLOCK_SIZES[-1])
    files = {name: _parse_place(head, name, length) for name in ("image", "index")}
    hashes = -(-length // CHUNK) * _HASH
    counts = [-(-file.size // block_size) for file in files.values()]
    expected = hashes + 4 * sum(counts)
    if block_size not in _BLOCK_SIZES or len(tables) != expected:
        raise WireError(f"map: its tables have {len(tables)} bytes, expected {expected}")
    if files["index"].size != files["image"].size // BLOCK * _HASH:
        raise WireError("map: index.size: not that of image.size")
    words = struct.unpack(f"<{sum(counts)}I", tables[hashes:])
    image = _place(files["image"], words[: counts[0]], length)
    index = _place(files["index"], words[counts[0] :], length)
    return BundleMap(length, tables[:hashes], block_size, image, index)


def _parse_place(head: dict[str, object], name: str, length: int) -> StoredFile:
    place = get_object(head, name)
    start = get_int(place, "start", path=f"{name}.", high=length)
    size = get_int(place, "size", path=f"{name}.", low=1, high=IMAGE_MAX)
    return StoredFile(start, size, (), (), is_whole=True)


def _place(file: StoredFile, words: Iterable[int], length: int) -> StoredFile:
    words = tuple(words)
    stored = tuple(word & (_RAW - 1) for word in words)
    if file.start + sum(stored) > length:
        raise WireError(f"map: a file ends behind byte {length}")
    return replace(file, stored=stored, raw=tuple(bool(word & _RAW) for word in words))


def make_map(bundle: Path) -> BundleMap:
    """Make the map of a bundle, and check that its index is the image's.

    Raises:
        ContentError: the bundle has no block-hash-index, or a form that cannot be mapped.
        OSError: it cannot be read.
    """
    with bundle.open("rb") as file:
        hashes, length = _hash_chunks(file)
        layout = read_squashfs(file)
        image = max(layout.files, key=lambda stored: stored.size, default=None)
        if image is None or image.size > IMAGE_MAX:
            raise _unfit(f"expected an image of at most {IMAGE_MAX} bytes")
        wanted = image.size // BLOCK * _HASH
        index = next((stored for stored in layout.files if stored.size == wanted), None)
        if index is None or not image.is_whole or not index.is_whole or image.size % BLOCK:
            raise _unfit("expected an image with a block-hash-index, packed with -no-fragments")
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

    index = made.read_index(read)
    found = hashlib.sha256()
    for data in _unpack(made.image, made.block_size, read):
        for at in range(0, len(data), BLOCK):
            found.update(hashlib.sha256(data[at : at + BLOCK]).digest())
    if found.digest() != hashlib.sha256(index).digest():
        raise _unfit("the index is not the image's")


def _unfit(detail: str) -> ContentError:
    return ContentError("bundle without a map", detail, OtaEvent.IMAGE_INVALID)
