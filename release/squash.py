"""Finds where the files of a squashfs image are stored in it, as far as RAUC bundles need it.

The release tool uses it to find which bytes of a bundle an installation reads. It supports format
4.0 with gzip, which `rauc bundle` writes. Machines never parse an image: they use the signed map.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ota.errors import ContentError
from ota.fetch.bundle_map import StoredFile
from wire.ota import OtaEvent

_SUPERBLOCK = struct.Struct("<5I6H8Q")
_MAGIC, _GZIP, _VERSION = 0x73717368, 1, (4, 0)
_RAW_METADATA, _RAW_DATA = 1 << 15, 1 << 24
_NO_FRAGMENT = 0xFFFFFFFF
# Fixed parts of inodes, by type: directory, file, and their extended forms; bundles have no others.
_HEAD = struct.Struct("<HHHHII")
_DIRECTORY, _FILE = struct.Struct("<IIHHI"), struct.Struct("<IIII")
_LONG_DIRECTORY, _LONG_FILE = struct.Struct("<IIIIHHI"), struct.Struct("<QQQIIII")
_INDEX_ENTRY = struct.Struct("<III")
# Bytes. An inode table has one word per data block; this is far more than an image of 64 GiB needs.
_TABLE_MAX = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Squashfs:
    """The regular files of an image; ``block_size``: bytes of a file that one data block holds."""

    block_size: int
    files: tuple[StoredFile, ...]


def read_squashfs(file: BinaryIO) -> Squashfs:
    """Read the layout of a squashfs image.

    Raises:
        ContentError: it is not a squashfs image, or has a form that `rauc bundle` does not write.
    """
    try:
        return _read(file)
    except (struct.error, zlib.error, EOFError) as error:
        raise _unfit(str(error)) from error


def _read(file: BinaryIO) -> Squashfs:
    file.seek(0)
    fields = _SUPERBLOCK.unpack(_exactly(file, _SUPERBLOCK.size))
    magic, inodes, _time, block_size, _fragments, compressor = fields[:6]
    if magic != _MAGIC or (fields[9], fields[10]) != _VERSION or compressor != _GZIP:
        raise _unfit("expected squashfs 4.0 with gzip")
    inode_table, directory_table = fields[15], fields[16]
    table = _read_metadata(file, inode_table, directory_table)
    return Squashfs(block_size, tuple(_files(table, inodes, block_size)))


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError(f"ended within {size} bytes")
    return data


def _read_metadata(file: BinaryIO, start: int, end: int) -> bytes:
    """Return a metadata table, which is stored in blocks that each start with their length."""
    file.seek(start)
    parts, size = [], 0
    while file.tell() < end:
        (head,) = struct.unpack("<H", _exactly(file, 2))
        block = _exactly(file, head & (_RAW_METADATA - 1))
        parts.append(block if head & _RAW_METADATA else zlib.decompress(block))
        size += len(parts[-1])
        if size > _TABLE_MAX:
            raise _unfit(f"an inode table over {_TABLE_MAX} bytes")
    return b"".join(parts)


def _files(table: bytes, inodes: int, block_size: int) -> Iterator[StoredFile]:
    at = 0
    for _number in range(inodes):
        kind = _HEAD.unpack_from(table, at)[0]
        at += _HEAD.size
        if kind == 1:
            at += _DIRECTORY.size
        elif kind == 8:
            at = _after_directory(table, at)
        elif kind in {2, 9}:
            stored, at = _file(table, at, block_size, is_long=kind == 9)
            yield stored
        else:
            raise _unfit(f"inode of type {kind}")


def _after_directory(table: bytes, at: int) -> int:
    entries = _LONG_DIRECTORY.unpack_from(table, at)[4]
    at += _LONG_DIRECTORY.size
    for _entry in range(entries):
        at += _INDEX_ENTRY.size + _INDEX_ENTRY.unpack_from(table, at)[2] + 1
    return at


def _file(table: bytes, at: int, block_size: int, *, is_long: bool) -> tuple[StoredFile, int]:
    if is_long:
        start, size, _sparse, _links, fragment, _offset, _xattr = _LONG_FILE.unpack_from(table, at)
        at += _LONG_FILE.size
    else:
        start, fragment, _offset, size = _FILE.unpack_from(table, at)
        at += _FILE.size
    is_whole = fragment == _NO_FRAGMENT
    blocks = -(-size // block_size) if is_whole else size // block_size
    words = struct.unpack_from(f"<{blocks}I", table, at)
    stored = tuple(word & (_RAW_DATA - 1) for word in words)
    raw = tuple(bool(word & _RAW_DATA) for word in words)
    return StoredFile(start, size, stored, raw, is_whole), at + 4 * blocks


def _unfit(detail: str) -> ContentError:
    return ContentError("bundle without a map", detail, OtaEvent.IMAGE_INVALID)
