"""Reads records out of a damaged SQLite file, page by page, without SQLite (sqlite.org/fileformat2).

SQLite reads a table from its root down, so one damaged page hides all below it. Every leaf of a table
holds whole records of its own, so this module looks at each page of the file, with the newer pages of
its write-ahead log laid over them. It takes bytes and never fails: what it cannot read, it leaves out.
Who calls it must recognise the records of its own table, because a leaf does not name its table.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from typing import Literal

from wire.records import dataclass

Value = int | float | bytes | str | None
"""A column. Text stays bytes unless it is UTF-8."""

MAGIC = b"SQLite format 3\0"
DEFAULT_PAGE = 4096
LEAF = 0x0D
# Bytes of one record; no report is as long, and a damaged length must not fill memory.
RECORD_MAX = 1024 * 1024
_HEADER = 100
_WAL_HEADER, _FRAME_HEADER = 32, 24
_INTEGERS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class _BadRecordError(ValueError):
    """This record is damaged."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the id of its row, and its columns."""

    rowid: int
    columns: tuple[Value, ...]


@dataclass(slots=True)
class Salvage:
    """What a file holds: its records, and how many more of its cells are damaged."""

    records: list[Record]
    damaged: int = 0


def salvage(database: bytes, log: bytes = b"") -> Salvage:
    """Return all records in the leaves of ``database`` with its write-ahead ``log``.

    Pages that SQLite has freed are left out, as far as the list of them is readable: they hold what
    was deleted.
    """
    size = _page_size(database, log)
    pages = _lay_over(database, log, size)
    freed = _freed(pages, size)
    found = Salvage([])
    # A frame behind the last whole transaction may hold newer rows, or nothing of what it covers.
    end = _whole_part(log).committed
    older = _lay_over(database, log[:end], size) if end else {}
    covered = {n: page for n, page in older.items() if n not in freed and pages.get(n) != page}
    for number, page in sorted(covered.items()):
        _read_page(number, page, older, size, found)
    for number in sorted(set(pages) - freed):
        _read_page(number, pages[number], pages, size, found)
    return found


def _read_page(
    number: int, page: bytes, pages: dict[int, bytes], size: int, found: Salvage
) -> None:
    start = _HEADER if number == 1 else 0
    if len(page) >= start + 8 and page[start] == LEAF:
        _read_leaf(page, start, pages, size, found)


def is_log_whole(log: bytes) -> bool:
    """Return whether SQLite would read all of a write-ahead log: it stops at the first bad frame.

    A torn last transaction is no damage: it was never acknowledged.
    """
    part = _whole_part(log)
    if not part.size:
        return not any(log)
    frame = _FRAME_HEADER + part.size
    if not part.end:
        return len(log) < _WAL_HEADER + frame
    salts = log[16:24]  # older frames behind the newest have others
    behind = range(part.end + frame, len(log) - frame + 1, frame)
    return not any(_is_commit(log, place, salts) for place in behind)


def _is_commit(log: bytes, place: int, salts: bytes) -> bool:
    is_ours = log[place + 8 : place + 16] == salts
    return is_ours and struct.unpack_from(">I", log, place + 4)[0] != 0


@dataclass(slots=True)
class _WholePart:
    """How much of a log its checksums vouch for: up to its first bad frame, and to its last commit before that.

    ``size`` is that of its pages; 0: it is no log. ``end`` 0: its header is damaged.
    """

    size: int
    end: int = 0
    committed: int = 0


def _whole_part(log: bytes) -> _WholePart:
    if len(log) < _WAL_HEADER:
        return _WholePart(DEFAULT_PAGE, len(log))
    magic, size = (int(n) for n in struct.unpack_from(">I4xI", log))
    if magic not in {0x377F0682, 0x377F0683} or size not in _SIZES:
        return _WholePart(0)
    order: _Order = "big" if magic & 1 else "little"
    part = _WholePart(size)
    if _checksum(log[: _WAL_HEADER - 8], order) != struct.unpack_from(">II", log, 24):
        return part
    frame, salts = _FRAME_HEADER + size, log[16:24]
    places = range(_WAL_HEADER, len(log) - frame + 1, frame)
    ours = list(itertools.takewhile(lambda place: log[place + 8 : place + 16] == salts, places))
    sound = _sound_frames(log, frame, len(ours), order)
    part.end = _WAL_HEADER + sound * frame
    commits = (place for place in reversed(ours[:sound]) if _is_commit(log, place, salts))
    part.committed = next((place + frame for place in commits), _WAL_HEADER)
    return part


_Order = Literal["little", "big"]
_SIGNS = {"little": "<", "big": ">"}
_WORD = 0xFFFFFFFF
_SIZES = frozenset(1 << power for power in range(9, 17))


def _checksum(data: bytes, order: _Order) -> tuple[int, int]:
    """Return the checksum of a log's header, with which that of its first frame begins."""
    first = second = 0
    for place in range(0, len(data), 8):
        first = first + int.from_bytes(data[place : place + 4], order) + second & _WORD
        second = second + int.from_bytes(data[place + 4 : place + 8], order) + first & _WORD
    return first, second


def _sound_frames(log: bytes, frame: int, count: int, order: _Order) -> int:
    """Return how many of the first ``count`` frames have the checksum that follows from the frame before.

    All frames are summed up side by side, each in 64 bits of one large number, which takes a tenth of the time of
    one after another: each frame has its checksum in it, and so the begin of the next one's.
    """
    if not count:
        return 0
    told = [
        struct.unpack_from(">II", log, place)
        for place in (24, *(_WAL_HEADER + number * frame + 16 for number in range(count)))
    ]
    first, second = (_lanes([each[half] for each in told[:-1]], order) for half in (0, 1))
    words = _lanes([_WORD] * count, order)
    pairs = memoryview(log)[_WAL_HEADER : _WAL_HEADER + count * frame].cast("Q")
    step = frame // 8
    for place in (0, *range(_FRAME_HEADER // 8, step)):  # salts and checksum are not summed up
        pair = int.from_bytes(pairs[place::step].tobytes(), order)
        low, high = pair & words, pair >> 32 & words
        one, other = (low, high) if order == "little" else (high, low)
        first = first + one + second & words
        second = second + other + first & words
    right, other_right = (_lanes([each[half] for each in told[1:]], order) for half in (0, 1))
    unlike = first ^ right | second ^ other_right
    lanes = struct.unpack(f"{_SIGNS[order]}{count}Q", unlike.to_bytes(8 * count, order))
    return next((number for number, lane in enumerate(lanes) if lane), count)


def _lanes(numbers: Sequence[int], order: _Order) -> int:
    return int.from_bytes(struct.pack(f"{_SIGNS[order]}{len(numbers)}Q", *numbers), order)


def _page_size(database: bytes, log: bytes) -> int:
    told = []
    if len(database) >= 18 and database.startswith(MAGIC):
        size = struct.unpack_from(">H", database, 16)[0]
        told.append(65536 if size == 1 else size)
    if len(log) >= 12:
        told.append(struct.unpack_from(">I", log, 8)[0])
    return next((size for size in told if size in _SIZES), DEFAULT_PAGE)


def _lay_over(database: bytes, log: bytes, size: int) -> dict[int, bytes]:
    """Return the pages by number, each as the last frame of the log has it."""
    count = -(-len(database) // size)
    pages = {n + 1: database[n * size : (n + 1) * size] for n in range(count)}
    frames = range(_WAL_HEADER, len(log) - _FRAME_HEADER, _FRAME_HEADER + size)
    salts = log[16:24]
    if not any(log[place + 8 : place + 16] == salts for place in frames):  # the header is damaged
        salts = log[_WAL_HEADER + 8 : _WAL_HEADER + 16]  # the first frame is the newest log's
    for place in frames:
        number = struct.unpack_from(">I", log, place)[0]
        if log[place + 8 : place + 16] == salts and 0 < number <= count + len(log) // size + 1:
            pages[number] = log[place + _FRAME_HEADER : place + _FRAME_HEADER + size]
    return pages


def _freed(pages: dict[int, bytes], size: int) -> set[int]:
    """Return the pages on the list of the freed ones, up to its first unreadable page."""
    freed: set[int] = set()
    first = pages.get(1, b"")
    if len(first) < _HEADER or not first.startswith(MAGIC):
        return freed
    trunk = struct.unpack_from(">I", first, 32)[0]
    while trunk in pages and trunk not in freed and len(pages[trunk]) == size:
        freed.add(trunk)
        following, count = struct.unpack_from(">II", pages[trunk])
        if count > size // 4 - 2:
            break
        freed.update(struct.unpack_from(f">{count}I", pages[trunk], 8))
        trunk = following
    return freed


def _read_leaf(page: bytes, start: int, pages: dict[int, bytes], size: int, found: Salvage) -> None:
    count = struct.unpack_from(">H", page, start + 3)[0]
    for place in range(start + 8, min(start + 8 + 2 * count, len(page) - 1), 2):
        try:
            cell = struct.unpack_from(">H", page, place)[0]
            found.records.append(_read_cell(page, cell, pages, size))
        except (_BadRecordError, IndexError, struct.error):
            found.damaged += 1


def _read_cell(page: bytes, cell: int, pages: dict[int, bytes], size: int) -> Record:
    length, place = _varint(page, cell)
    rowid, place = _varint(page, place)
    if length > RECORD_MAX:
        raise _BadRecordError
    local = _local_length(length, size)
    payload = page[place : place + local]
    if len(payload) < local:
        raise _BadRecordError
    if local < length:
        after = struct.unpack_from(">I", page, place + local)[0]
        payload += b"".join(_overflow(after, length - local, pages, size))
    if len(payload) != length:
        raise _BadRecordError
    return Record(_signed(rowid), tuple(_columns(payload)))


def _local_length(length: int, size: int) -> int:
    """Return how much of a record of ``length`` is on its leaf (fileformat2, 1.6)."""
    most, least = size - 35, (size - 12) * 32 // 255 - 23
    if length <= most:
        return length
    local = least + (length - least) % (size - 4)
    return local if local <= most else least


def _overflow(number: int, length: int, pages: dict[int, bytes], size: int) -> Iterator[bytes]:
    seen: set[int] = set()
    while length > 0:
        page = pages.get(number, b"")
        if number in seen or len(page) < size:
            raise _BadRecordError
        seen.add(number)
        part = page[4 : 4 + length]
        yield part
        length -= len(part)
        number = struct.unpack_from(">I", page)[0]


def _columns(payload: bytes) -> Iterator[Value]:
    end, place = _varint(payload, 0)
    body = end
    while place < end:
        kind, place = _varint(payload, place)
        width = _width(kind)
        data = payload[body : body + width]
        if len(data) < width:
            raise _BadRecordError
        body += width
        yield _value(kind, data)
    if body != len(payload):
        raise _BadRecordError


def _width(kind: int) -> int:
    if kind in _INTEGERS:
        return _INTEGERS[kind]
    if kind == 7:
        return 8
    if kind in {8, 9}:
        return 0
    if kind < 12:
        raise _BadRecordError
    return (kind - 12) // 2


def _value(kind: int, data: bytes) -> Value:
    if kind in {0, 8, 9}:
        return None if kind == 0 else kind - 8
    if kind == 7:
        return float(struct.unpack(">d", data)[0])
    if kind < 7:
        return int.from_bytes(data, "big", signed=True)
    return _text(data) if kind % 2 else data


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for count in range(9):
        byte = data[place]
        place += 1
        if count == 8:
            return value << 8 | byte, place
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place
    raise _BadRecordError


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
