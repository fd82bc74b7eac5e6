"""A package of which only some chunks are on disk, and the fetching of the wanted chunks.

Each chunk is verified against its signed hash before it is written, and again after a restart: the
file on disk is not trusted. Neighbouring chunks are fetched with one request.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Self

from ota.errors import ContentError, FetchError, StoppedError
from ota.fetch.bundle_map import CHUNK, BundleMap
from ota.fetch.pace import LowSpeed, Pacer
from ota.fetch.responses import check_page, check_range, check_retry_after
from ota.fetch.retry import Attempts
from ota.fetch.source import PROGRESS_BYTES, DownloadSettings, Source
from ota.fetch.spent import Spent
from ota.fetch.web import Body, Web, show_url
from ota.install.installer import Progress
from ota.space import no_space
from wire.ota import OtaEvent
from wire.records import dataclass

# Maximum number of requests for one set of chunks: runs are joined, and the gaps between them
# fetched too, until this number is reached. Each request costs a round trip and about 1 kB.
RUNS_MAX = 128
# Bytes by which a web page is told from a file.
PAGE_START = 512


class SparseFile:
    """A file with the length of the package, and holes; `has` tells which chunks are verified."""

    def __init__(self, path: Path, bundle: BundleMap, stop: threading.Event) -> None:
        """Use ``path`` for ``bundle``; ``stop`` ends the check on entry with StoppedError."""
        self.path = path
        # One byte per chunk: a set would take a hundred times the memory.
        self._right = bytearray(len(bundle.chunks))
        self._map = bundle
        self._stop = stop

    def __enter__(self) -> Self:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            self._file.truncate(self._map.length)
            for chunk in self._written():
                if self._stop.is_set():
                    raise StoppedError("stopped while reading the part")
                if self._map.fits(chunk, self.read(*self._map.span(chunk))):
                    self._right[chunk] = 1
        except BaseException:  # __exit__ is not called when __enter__ raises
            self._file.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def has(self, chunk: int) -> int:
        """Return 1 if the chunk is present and verified, else 0."""
        return self._right[chunk]

    def _written(self) -> Iterator[int]:
        """Yield the chunks that are not holes."""
        end = 0
        while True:
            try:
                start = os.lseek(self._file.fileno(), end, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # no more data
                    return
                raise
            first = max(start // CHUNK, -(-end // CHUNK))
            end = os.lseek(self._file.fileno(), start, os.SEEK_HOLE)
            yield from range(first, -(-end // CHUNK))

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset`` on; holes read as zeros."""
        return os.pread(self._file.fileno(), length, offset)

    def write(self, chunk: int, data: bytes) -> None:
        """Verify and write a chunk.

        Raises:
            ContentError: the data does not have the signed hash.
        """
        start, _length = self._map.span(chunk)
        if not self._map.fits(chunk, data):
            detail = f"the bytes from {start} on are not the signed ones"
            raise ContentError("wrong hash", detail, OtaEvent.CHECKSUM_FAIL)
        rest = memoryview(data)
        while rest:  # a write may be short
            written = os.pwrite(self._file.fileno(), rest, start)
            rest, start = rest[written:], start + written
        self._right[chunk] = 1

    def sync(self) -> None:
        """Flush the file to the disk."""
        os.fsync(self._file.fileno())


def runs_of(chunks: Iterable[int], most: int = RUNS_MAX) -> list[range]:
    """Join chunks into at most ``most`` runs, over the smallest gaps; gaps of one always join."""
    gap = 1
    runs = _join(sorted(chunks), gap)
    while len(runs) > most:
        gap *= 2
        runs = _join([chunk for run in runs for chunk in run], gap)
    return runs


def _join(chunks: list[int], gap: int) -> list[range]:
    runs: list[range] = []
    for chunk in chunks:
        if runs and chunk - runs[-1].stop <= gap:
            runs[-1] = range(runs[-1].start, chunk + 1)
        else:
            runs.append(range(chunk, chunk + 1))
    return runs


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches chunks of one package into its sparse file.

    Attributes:
        source: the package; its length must be that of the map.
        sparse: the file that receives the chunks.
        spent: the cost of the package so far.
        rng: the jitter of the waits.
    """

    source: Source
    sparse: SparseFile
    bundle: BundleMap
    web: Web
    spent: Spent
    settings: DownloadSettings
    stop: threading.Event
    rng: random.Random | None = None

    def fetch(self, wanted: Collection[int], progress: Progress | None = None) -> None:
        """Fetch the missing chunks of ``wanted``; ``progress`` gets (bytes on disk, bytes wanted).

        Raises:
            ContentError: not the signed bytes, a permanent refusal, or the budget is spent.
            FetchError: no success within the attempts.
            NoDeltaError: the server does not support ranges.
            NoSpaceError, StoppedError: as in `ota.fetch.whole.download`.
        """
        attempts = Attempts(self.settings.retry, self.stop, self.rng)
        while lacking := [chunk for chunk in wanted if not self.sparse.has(chunk)]:
            try:
                self._check_space(len(lacking) * CHUNK)
                for run in runs_of(lacking):
                    self._ask(run)
                    if progress is not None:
                        here = sum(map(self.sparse.has, wanted))
                        progress(here * CHUNK, len(wanted) * CHUNK)
                self.sparse.sync()
            except FetchError as error:
                gained = sum(map(self.sparse.has, lacking)) * CHUNK
                attempts.failed(error, progressed=gained >= PROGRESS_BYTES)
            except OSError as error:
                if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                needs = len(lacking) * CHUNK + self.settings.reserve
                raise no_space(self.sparse.path.parent, needs, self._free(), error) from error

    def _free(self) -> int:
        return self.settings.free_space(self.sparse.path.parent)

    def _check_space(self, size: int) -> None:
        needs = size + self.settings.reserve
        if needs > self._free():
            raise no_space(self.sparse.path.parent, needs, self._free())

    def _ask(self, run: range) -> None:
        """Send one request for a run of chunks and store them."""
        first = run.start * CHUNK
        last = min(run.stop * CHUNK, self.source.length) - 1
        self.spent.attempt()
        headers = {"Range": f"bytes={first}-{last}"}
        with self.web.get(self.source.url, headers, redirects=self.settings.redirects) as body:
            check_retry_after(body)
            if body.status == 200:  # no range, and perhaps no server of ours
                check_page(body, body.read(PAGE_START), self.source.length)
            check_range(body.status, body.header("Content-Range"), first, last, self.source.length)
            self._take(body, run)

    def _take(self, body: Body, run: range) -> None:
        meter = LowSpeed(self.settings.low_speed, self.settings.low_speed_window, monotonic())
        pacer = Pacer(self.settings.max_rate, monotonic())
        for chunk in run:
            data = bytearray()
            length = self.bundle.span(chunk)[1]
            while len(data) < length:
                piece = body.read(min(pacer.piece, length - len(data)))
                if not piece:
                    where = f"the body ended within the chunk at byte {chunk * CHUNK}"
                    raise FetchError(f"{show_url(self.source.url)}: {where}")
                self.spent.take(len(piece))
                if self.stop.wait(pacer.add(len(piece), monotonic())):
                    raise StoppedError("stopped while downloading")
                meter.add(len(piece), monotonic())
                data += piece
            if not self.sparse.has(chunk):
                self.sparse.write(chunk, bytes(data))
