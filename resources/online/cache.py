"""Stories kept on the machine's disk: what was heard once plays again without the network.

Of each story there is a file of bytes (``KEY.part`` until all of them are there, then ``KEY.story``) and a
record (``KEY.json``) of which bytes they are. Bytes are on the disk before the record says so, and
a part becomes a story by a rename, so that neither a power cut nor a cut transfer makes half a story
a whole one. Another edition of a pinned story is kept beside the whole one, in ``KEYb``, with a record of its own
(``KEY-next.json``) until all of it is there: then it takes the record's place, and the next edition has the other name
(docs/adr/0087). Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterable
from dataclasses import field, replace
from pathlib import Path

from base.files import fsync_path, make_folder, read_record, write_atomically
from machine.errors import RefusedError
from resources.online.policy import Target, parse_target
from resources.online.spans import Spans
from wire.errors import FieldError, WireError
from wire.fields import get_int, get_string, parse_object
from wire.records import dataclass

FORMAT = 1
# Bytes that stay free on the disk, for the agent's own records and an update.
FREE_FLOOR = 128 * 1024 * 1024
# Bytes after which what has come is made durable: a power cut costs at most this much of a transfer.
SYNC_STEP = 4 * 1024 * 1024
ENTRIES_LIMIT = 5000
PINS_LIMIT = 200
PINS = "pins.json"

_PART, _WHOLE, _RECORD = ".part", ".story", ".json"
_NEXT, _SECOND = "-next", "b"

_log = logging.getLogger(__name__)


def key_of(target: Target) -> str:
    """Return the name under which a story is kept.

    The whole URL counts, also its query: which parts of it only prove who asks, no one can know.
    """
    return hashlib.sha256(f"{target.login}\n{target.url}".encode()).hexdigest()[:40]


@dataclass(slots=True)
class Record:
    """What is known of a kept story.

    Attributes:
        size: its bytes.
        content_type: as the server said.
        validator: the server's mark of these very bytes, "" without.
        used: a number that grows with each use of any story; clocks may jump.
        spans: the bytes that are on the disk.
        second: whether they are in the second of the two files that editions take turns in.
    """

    size: int
    content_type: str = ""
    validator: str = ""
    used: int = 0
    spans: Spans = field(default_factory=Spans)
    second: bool = False

    @property
    def whole(self) -> bool:
        """Whether all bytes are there."""
        return 0 < self.size <= self.spans.run(0)

    def is_of(self, size: int, validator: str) -> bool:
        """Return whether it is of the edition that has this size and mark."""
        return (self.size, self.validator) == (size, validator)

    def to_bytes(self) -> bytes:
        """Render the record."""
        return json.dumps({
            "format": FORMAT, "size": self.size, "content_type": self.content_type,
            "validator": self.validator, "used": self.used, "spans": self.spans.ranges,
            **({"second": True} if self.second else {}),
        }).encode()  # fmt: skip


def parse_record(data: bytes) -> Record:
    """Parse a record strictly; raises WireError naming the member."""
    source = parse_object(data, "record")
    if source.get("format") != FORMAT:
        raise FieldError("format", source.get("format"), str(FORMAT))
    size = get_int(source, "size")
    spans = source.get("spans")
    if not isinstance(spans, list) or not all(_is_span(item, size) for item in spans):
        raise FieldError("spans", spans, "pairs of bytes up to the size")
    return Record(
        size=size,
        content_type=get_string(source, "content_type", empty=True),
        validator=get_string(source, "validator", empty=True),
        used=get_int(source, "used"),
        spans=Spans((first, end) for first, end in spans),
        second=source.get("second") is True,
    )


def dump_pins(urls: Iterable[str]) -> bytes:
    """Render the list of pinned URLs."""
    return json.dumps({"format": FORMAT, "urls": list(urls)}).encode()


def parse_pins(data: bytes) -> list[str]:
    """Parse the list of pinned URLs; raises WireError."""
    urls = parse_object(data, "pins").get("urls")
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise FieldError("urls", urls, "a list of URLs", secret=True)
    return urls[:PINS_LIMIT]


def _is_span(item: object, size: int) -> bool:
    match item:
        case [int(first), int(end)]:
            return 0 <= first < end <= size
    return False


class Kept:
    """One story on the disk, open for reading and writing; close it."""

    def __init__(self, cache: Cache, key: str, record: Record) -> None:
        """Open the story's file; raises OSError."""
        self._cache = cache
        self._key = key
        self.record = record
        self.is_outdated = False
        """Whether another edition was being fetched when it was opened."""
        self._file = os.open(cache.data_file(key, record), os.O_RDWR | os.O_CREAT, 0o600)
        self._unsynced = 0
        self._lock = threading.Lock()
        self._syncing = threading.Lock()

    def run(self, at: int) -> int:
        """Return how many bytes there are from ``at`` on without a gap."""
        return self.record.spans.run(at)

    def read(self, at: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``at`` on; raises OSError."""
        with self._lock:
            return os.pread(self._file, min(size, self.run(at)), at)

    def write(self, at: int, data: bytes) -> None:
        """Keep ``data`` from byte ``at`` on; raises OSError if there is no room."""
        view = memoryview(data)[: max(0, self.record.size - at)]
        with self._lock:
            self._unsynced += len(view)
            while view:
                written = os.pwrite(self._file, view, at)
                self.record.spans.add(at, at + written)
                at += written
                view = view[written:]
        if self._unsynced >= SYNC_STEP or self.record.whole:
            self.sync()

    def sync(self) -> None:
        """Make what has come durable; raises OSError."""
        with self._syncing:
            if not self._unsynced:
                return
            with self._lock:
                self._unsynced = 0
                durable = replace(self.record, spans=Spans(self.record.spans.ranges))
                copy = os.dup(self._file)  # a slow card must not keep the player from reading
            try:
                os.fsync(copy)
            finally:
                os.close(copy)
            self._cache.note(self._key, durable)

    def close(self) -> None:
        """Make what has come durable if there is room, and close the file."""
        try:
            self.sync()
        except OSError as error:
            _log.warning("a story is not kept: %s", error.strerror)
        finally:
            with self._lock:
                os.close(self._file)
                self._file = -1
            self._cache.let_go(self._key)


class Cache:
    """The kept stories; at most ``limit`` bytes, of which those used longest ago are left out."""

    def __init__(self, folder: Path, limit: int, *, free_floor: int = FREE_FLOOR) -> None:
        """Use ``folder``, which is made and read when first needed; ``limit`` 0 keeps nothing."""
        self._folder = folder
        self.limit = limit
        """Bytes in all."""
        self._free_floor = free_floor
        self._lock = threading.RLock()
        self._records: dict[str, Record] | None = None
        self._open: set[str] = set()
        # By key, the URLs of the stories that are never left out.
        self._pins: dict[str, str] = {}
        # Names of files that were to go, and that the disk did not let go: their bytes count until it does.
        self._stuck: set[str] = set()

    def data_file(self, key: str, record: Record) -> Path:
        """Return the file with a story's bytes."""
        return self._folder / (_stem(key, record) + (_WHOLE if record.whole else _PART))

    def find(self, key: str) -> Kept | None:
        """Open a story of which something is there; raises OSError.

        None: nothing is, or the rest of it has no room beside what is in use.
        """
        with self._lock:
            record = self._load().get(key)
            if record is None or key in self._open or not record.spans.total:
                return None
            if not record.whole and not self._make_room(record.size, key):
                return None
            kept = self._use(key, record)
            kept.is_outdated = key + _NEXT in self._load()
            return kept

    def begin(self, key: str, size: int, content_type: str, validator: str) -> Kept | None:
        """Open a story that a server has sent; what is there of other bytes is left out.

        Of a pinned story the whole edition that is there stays until all of this one is, if there is room for both.

        Returns:
            None if it cannot be kept: of unknown size (0), too large, no room, or it is being fetched already.

        Raises:
            OSError: the disk.
        """
        with self._lock:
            if not size or {key, key + _NEXT} & self._open:
                return None
            wanted, stays = Record(size, content_type, validator), self._whole_pinned(key)
            if stays is not None and not stays.is_of(size, validator):
                beside = replace(wanted, spans=Spans(), second=not stays.second)
                kept = self._begin_at(key + _NEXT, beside)
                if kept is not None:
                    return kept
            self._remove(key + _NEXT)
            return self._begin_at(key, wanted)

    def _begin_at(self, key: str, wanted: Record) -> Kept | None:
        """Open the record ``key`` for an edition; one of another edition is removed."""
        if not self._make_room(wanted.size, key):
            return None
        there = self._load().get(key)
        if there is not None and not there.is_of(wanted.size, wanted.validator):
            self._remove(key)
            there = None
        record = self._load()[key] = there or wanted
        return self._use(key, record)

    def _whole_pinned(self, key: str) -> Record | None:
        """Return the record of a pinned story of which all is there, None if it is not such a one."""
        record = self._load().get(key)
        return record if record is not None and record.whole and key in self._pins else None

    def settle(self, key: str) -> None:
        """Leave out what is there of another edition: the server has the one that is kept."""
        with self._lock:
            if key + _NEXT not in self._open:
                self._remove(key + _NEXT)

    def pin(self, url: str, *, pinned: bool) -> None:
        """Never leave the story at ``url`` out, or treat it as any other again.

        Raises:
            RefusedError: it is no URL, there are PINS_LIMIT already, or nothing is kept at all.
            OSError: the disk.
        """
        key = key_of(parse_target(url))
        with self._lock:
            self._load()
            pins = dict(self._pins)
            if not pinned:
                pins.pop(key, None)
            elif not self.limit:
                raise RefusedError("play: nothing is kept, since play.cache_bytes is 0")
            elif len(pins) >= PINS_LIMIT and key not in pins:
                raise RefusedError(f"play: {PINS_LIMIT} stories are pinned, expected fewer")
            else:
                pins[key] = url
            write_atomically(self._folder / PINS, dump_pins(pins.values()), mode=0o600)
            self._pins = pins
            if not pinned:
                self.settle(key)

    def pinned(self) -> list[tuple[str, bool]]:
        """Return the pinned URLs, each with whether all of it is there, of the newest edition that is known of."""
        with self._lock:
            records = self._load()
            return [
                (url, k in records and records[k].whole and k + _NEXT not in records)
                for k, url in self._pins.items()
            ]

    def has_whole(self, key: str) -> bool:
        """Return whether all of a story is there; raises OSError."""
        with self._lock:
            record = self._load().get(key)
            return record is not None and record.whole

    def total(self) -> int:
        """Return the bytes on the disk."""
        with self._lock:
            return sum(record.spans.total for record in self._load().values())

    def drop(self, key: str) -> None:
        """Leave out what is there of a story that nobody uses; the whole of a pinned one stays until `begin` has another."""
        with self._lock:
            if key not in self._open and self._whole_pinned(key) is None:
                self._remove(key)

    def note(self, key: str, record: Record) -> None:
        """Write the record; a part of which all bytes are there becomes a story. Raises OSError."""
        with self._lock:
            part = self._folder / (_stem(key, record) + _PART)
            if record.whole and part.exists():
                part.replace(self.data_file(key, record))
            is_next = record.whole and key.endswith(_NEXT)
            name = key.removesuffix(_NEXT) if is_next else key
            write_atomically(self._folder / (name + _RECORD), record.to_bytes(), mode=0o600)
            if is_next:
                self._take_the_place(key, name, record)

    def _take_the_place(self, key: str, name: str, record: Record) -> None:
        """Leave out the edition before a next one, whose record is at ``name`` by now."""
        records = self._load()
        before = records.get(name)
        records[name] = records.pop(key, record)
        self._unlink(key + _RECORD)
        if before is not None and before.second != record.second:
            self._unlink(self.data_file(name, before).name)

    def let_go(self, key: str) -> None:
        """Note that nobody uses the story any more."""
        with self._lock:
            self._open.discard(key)

    def _use(self, key: str, record: Record) -> Kept:
        record.used = 1 + max((r.used for r in self._load().values()), default=0)
        kept = Kept(self, key, record)
        try:
            self.note(key, record)
        except OSError:  # no room for the record; what is there can be played
            _log.warning("the record of a kept story cannot be written")
        self._open.add(key)
        return kept

    def _make_room(self, size: int, key: str) -> bool:
        """Leave stories out until ``size`` bytes fit in; return whether they do. None is left out in vain."""
        records = self._load()
        if self._stuck:
            self._sweep(sorted(self._stuck))
        there = records[key].spans.total if key in records else 0
        pinned = {*self._pins, *(pin + _NEXT for pin in self._pins)}
        used = {key, *self._open, *pinned}
        idle = [other for other in records if other not in used]
        idle.sort(key=lambda k: records[k].used, reverse=True)
        if not self._fits(size, there, key, frozenset(idle)):
            return False
        while idle and not self._fits(size, there, key):
            self._remove(idle.pop())
        return self._fits(size, there, key)

    def _fits(self, size: int, there: int, key: str, without: frozenset[str] = frozenset()) -> bool:
        """Return whether a story fits in beside the others, but for those that are left out."""
        records = self._load()
        # Of those that are being fetched all bytes count.
        used = sum(
            record.size if other in self._open else record.spans.total
            for other, record in records.items()
            if other != key and other not in without
        )
        used += sum(self._size_of(name) for name in self._stuck)
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize + sum(records[each].spans.total for each in without)
        return (
            used + size <= self.limit
            and free - (size - there) >= self._free_floor
            and len(records) - len(without) < ENTRIES_LIMIT
        )

    def _remove(self, key: str) -> None:
        record = self._load().pop(key, None)
        if record is None:
            return
        # The record first: bytes without one are left out at the next start.
        self._unlink(key + _RECORD)
        for ending in (_PART, _WHOLE):
            self._unlink(_stem(key, record) + ending)

    def _unlink(self, name: str) -> None:
        """Remove a file; a disk that does not let it go is asked again before there is room for another story."""
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError:
            self._stuck.add(name)
        else:
            self._stuck.discard(name)

    def _size_of(self, name: str) -> int:
        with contextlib.suppress(OSError):
            return (self._folder / name).stat().st_size
        return 0

    def _load(self) -> dict[str, Record]:
        """Return the records; they are read once, and what a crash left over is removed."""
        if self._records is not None:
            return self._records
        make_folder(self._folder)
        self._folder.chmod(0o700)
        self._records = records = {}
        self._pins = self._read_pins()
        names = sorted(path.name for path in self._folder.iterdir())
        for name in names:
            if name.endswith(_RECORD) and name != PINS and not name.startswith("."):
                key = name.removesuffix(_RECORD)
                record = self._read(key)
                if record is not None:
                    records[key] = record
        for key in [key for key in records if key.endswith(_NEXT)]:
            self._load_next(key)
        self._sweep(names)
        return records

    def _load_next(self, key: str) -> None:
        """Take a next edition for what it is after a cut: the one that is kept by now, or that of a story whose whole one was damaged."""
        records, name = self._load(), key.removesuffix(_NEXT)
        record, whole = records[key], records.get(name)
        if whole is not None and whole.second == record.second:
            del records[key]
        elif whole is None:
            del records[key]
            with contextlib.suppress(OSError):  # else it is fetched again
                write_atomically(self._folder / (name + _RECORD), record.to_bytes(), mode=0o600)
                records[name] = record

    def _read(self, key: str) -> Record | None:
        try:
            record = parse_record(read_record(self._folder / (key + _RECORD)))
            if record.spans.total:
                self._check(key, record)
        except (OSError, WireError) as error:
            _log.warning("a kept story is left out: %s", error)
            return None
        return record

    def _read_pins(self) -> dict[str, str]:
        try:
            urls = parse_pins(read_record(self._folder / PINS))
            return {key_of(parse_target(url)): url for url in urls}
        except FileNotFoundError:
            return {}
        except (OSError, WireError, RefusedError) as error:
            _log.warning("the list of pinned stories is lost: %s", error)
            return {}

    def _check(self, key: str, record: Record) -> None:
        """Raise OSError if bytes are missing that the record says are there."""
        path = self.data_file(key, record)
        part = self._folder / (_stem(key, record) + _PART)
        if record.whole and not path.exists() and part.exists():
            part.replace(path)  # the power went between the two
            fsync_path(self._folder)
        if path.stat().st_size < record.spans.end:
            raise OSError(errno.EIO, f"{path.name} is shorter than its record says")

    def _sweep(self, names: Iterable[str]) -> None:
        """Remove files that no record stands for: of crashes, of damaged records, and what the disk did not let go before."""
        records = (self._records or {}).items()
        used = {PINS, *(key + _RECORD for key, _ in records)}
        used |= {self.data_file(key, record).name for key, record in records}
        for name in names:
            if name in used:
                self._stuck.discard(name)
            else:
                self._unlink(name)


def _stem(key: str, record: Record) -> str:
    """Return the name of the file with a record's bytes, without its ending."""
    return key.removesuffix(_NEXT) + (_SECOND if record.second else "")
