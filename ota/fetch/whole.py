"""A resumable download: it keeps bytes that arrived, and returns only a file with the signed hash.

One folder holds at most one download: ``<sha256>.part``, the sidecar ``<sha256>.json`` with the URL
and the server's ETag, and ``<sha256>.spent`` with its cost. A later call hashes the part again (a
hash state on disk would cover bytes that the disk may have lost) and requests the rest (Range,
If-Range), also if the URL has changed. It starts over if the file has changed, or if the server has
no ranges or no ETag. All functions block.
"""

from __future__ import annotations

import errno
import json
import random
import re
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from time import monotonic
from typing import Self

from base.files import fsync_path, make_folder, write_atomically
from ota.errors import ContentError, FetchError, NoSpaceError, StoppedError
from ota.fetch.digests import Digests
from ota.fetch.retry import Attempts, RetryLaterError, RetryPolicy
from ota.fetch.web import Body, Web, WebSettings, parse_retry_after, show_url
from ota.install.installer import Progress
from wire.errors import WireError, show
from wire.fields import get_int, get_string, parse_object
from wire.ota import OtaEvent

READ_SIZE = 512 * 1024
# An attempt that received this many bytes counts as progress and restarts the count of failures.
PROGRESS_BYTES = 64 * 1024
# After how many bytes the cost of a download is stored: rarely enough to spare the flash.
SPENT_STEP = 4 * 2**20
# Temporary errors (RFC 9110): request timeout, too early, too many requests, 5xx.
PASSING_STATUS = frozenset({408, 425, 429}) | frozenset(range(500, 600))
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')


@dataclass(frozen=True, slots=True)
class Source:
    """The file to fetch: its URL, and the signed length (bytes) and SHA-256 (hex).

    ``budget``: total bytes that it may cost on the network, over all attempts and restarts; None:
    `DownloadSettings.budget_factor` times the length.
    """

    url: str
    length: int
    sha256: str
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class DownloadSettings:
    """Limits of a download.

    Attributes:
        low_speed: minimum rate in bytes per second, averaged over ``low_speed_window`` seconds; a
            slower server is treated as a broken connection.
        reserve: bytes to leave free on the disk, for state that must still be written.
        max_rate: maximum rate in bytes per second, so that a story keeps streaming; 0: no limit.
        redirects: maximum number of redirects in a row; never from https to http.
        budget_factor: the data budget as a multiple of the length, if the release sets none.
        budget_attempts: maximum number of requests, over all restarts; a machine that crashes in
            every attempt must not retry forever.
    """

    web: WebSettings = field(default_factory=WebSettings)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    low_speed: int = 1024
    low_speed_window: float = 30.0
    reserve: int = 4 * 2**20
    max_rate: int = 0
    redirects: int = 5
    budget_factor: float = 4.0
    budget_attempts: int = 500
    free_space: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A complete file with the signed length and SHA-256; ``md5`` (hex) is for the order's hint."""

    path: Path
    md5: str


class Answer(Enum):
    """What an HTTP response means for the bytes that are already on disk."""

    APPEND = auto()
    """The body is the rest of the file."""
    WHOLE = auto()
    """The body is the whole file; discard the bytes on disk."""
    ASK_AGAIN = auto()
    """Discard the bytes on disk and request the whole file."""


def download(
    source: Source,
    folder: Path,
    settings: DownloadSettings,
    stop: threading.Event,
    progress: Progress,
    rng: random.Random | None = None,
) -> Downloaded:
    """Fetch a file into ``folder``, resuming an earlier call's download.

    Args:
        source: the file to fetch.
        folder: a folder used only for this; files of other downloads in it are removed.
        settings: limits.
        stop: ends the work with StoppedError; the bytes that arrived are kept.
        progress: called with (bytes on disk, length), from the calling thread.
        rng: the jitter of the waits.

    Raises:
        ContentError: the server's file is not the signed one, the server refuses permanently, or
            the data budget is spent.
        FetchError: no success within the attempts.
        NoSpaceError: the disk is too small at the start, or fills up.
        OSError: the disk failed.
    """
    attempts = Attempts(settings.retry, stop, rng)
    with ExitStack() as stack:
        web = stack.enter_context(Web(settings.web))
        part = stack.enter_context(_Part(source, folder, settings, stop, progress))
        while True:
            before = part.here
            try:
                while not part.is_complete:
                    _fetch(web, part, settings, stop)
                done = part.finish()
            except FetchError as error:
                attempts.failed(error, progressed=part.here - before >= PROGRESS_BYTES)
                continue
            if done is not None:
                return done


def discard(folder: Path) -> None:
    """Remove a complete or partial download."""
    shutil.rmtree(folder, ignore_errors=True)  # the next download removes what is left


def _fetch(web: Web, part: _Part, settings: DownloadSettings, stop: threading.Event) -> None:
    """Send one request and store the body."""
    if part.here and part.etag is None:
        part.start_over()  # without a strong validator the rest may be of another file
    headers = {}
    if part.here and part.etag is not None:
        headers = {"Range": f"bytes={part.here}-", "If-Range": part.etag}
    part.spent.attempt()
    with web.get(part.source.url, headers, redirects=settings.redirects) as body:
        heed(body)
        answer = judge(
            body.status,
            body.header("Content-Range"),
            body.header("Content-Length"),
            part.here,
            part.source.length,
        )
        if answer is not Answer.APPEND:
            part.start_over()
        if answer is not Answer.ASK_AGAIN:
            part.remember(body.header("ETag"))
            _take(body, part, settings, stop)


def heed(body: Body) -> None:
    """Honour a Retry-After header of a temporary error: raises RetryLaterError."""
    if body.status in PASSING_STATUS:
        seconds = parse_retry_after(body.header("Retry-After"), body.header("Date"))
        if seconds is not None:
            raise RetryLaterError(f"the server answered HTTP {body.status}", seconds)


def judge(
    status: int, content_range: str | None, content_length: str | None, here: int, length: int
) -> Answer:
    """Interpret the response to a request for the bytes from ``here`` on, of ``length`` in total.

    Raises:
        ContentError: a permanent refusal, or a file of another length.
        FetchError: a temporary error.
    """
    if status == 206 and here:
        return _judge_range(content_range, here, length)
    if status == 200:
        if content_length is not None and content_length != str(length):
            detail = f"the server's file has {show(content_length)} bytes, {length} are signed"
            raise ContentError("wrong length", detail, OtaEvent.IMAGE_INVALID)
        return Answer.WHOLE
    if status == 416 and here:
        return Answer.ASK_AGAIN
    if status in PASSING_STATUS or status == 206:
        raise FetchError(f"the server answered HTTP {status}")
    raise ContentError("refused by the server", f"HTTP {status}", OtaEvent.DOWNLOAD_FAIL)


def _judge_range(content_range: str | None, here: int, length: int) -> Answer:
    match = _CONTENT_RANGE.fullmatch(content_range or "")
    if match is None:
        return Answer.ASK_AGAIN
    if int(match[3]) != length:
        detail = f"the server's file has {match[3]} bytes, {length} are signed"
        raise ContentError("wrong length", detail, OtaEvent.IMAGE_INVALID)
    # A server that sends a different range cannot be used to resume: request the whole file.
    asked = (int(match[1]), int(match[2])) == (here, length - 1)
    return Answer.APPEND if asked else Answer.ASK_AGAIN


def _take(body: Body, part: _Part, settings: DownloadSettings, stop: threading.Event) -> None:
    meter = LowSpeed(settings.low_speed, settings.low_speed_window, monotonic())
    pacer = Pacer(settings.max_rate, monotonic())
    while chunk := body.read(pacer.piece):
        part.spent.take(len(chunk))
        if stop.wait(pacer.add(len(chunk), monotonic())):
            raise StoppedError("stopped while downloading")
        part.append(chunk)
        meter.add(len(chunk), monotonic())
    if not part.is_complete:
        detail = f"the body ended at byte {part.here} of {part.source.length}"
        raise FetchError(f"{show_url(part.source.url)}: {detail}")


class LowSpeed:
    """Detects a server that is too slow; the caller passes the time (seconds) in."""

    def __init__(self, low_speed: int, window: float, now: float) -> None:
        """Require ``low_speed`` bytes per second in each ``window`` (seconds), from ``now`` on."""
        self._least = low_speed * window
        self._window = window
        self._start = now
        self._bytes = 0

    def add(self, size: int, now: float) -> None:
        """Count ``size`` bytes received by ``now``; raises FetchError if it is too slow."""
        self._bytes += size
        if now - self._start >= self._window:
            if self._bytes < self._least:
                took = f"{self._bytes} bytes in {now - self._start:.0f} s"
                raise FetchError(f"too slow: {took}")
            self._start, self._bytes = now, 0


class Pacer:
    """Limits the rate of a download; the caller passes the time (seconds) in."""

    def __init__(self, max_rate: int, now: float) -> None:
        """Allow ``max_rate`` bytes per second on average, from ``now`` on; 0: no limit."""
        self._max_rate = max_rate
        self._start = now
        self._bytes = 0
        # With a limit, read ten small pieces a second: progress is visible and a stop is quick.
        self.piece = min(READ_SIZE, max(1, max_rate // 10)) if max_rate else READ_SIZE

    def add(self, size: int, now: float) -> float:
        """Count ``size`` bytes and return how many seconds to wait before the next piece."""
        self._bytes += size
        if not self._max_rate:
            return 0.0
        return max(0.0, self._start + self._bytes / self._max_rate - now)


class Spent:
    """The cost of a download over all restarts: ``path`` stores the requests and bytes.

    A request is counted on disk before it is sent. Bytes are stored every `SPENT_STEP`; a crash
    loses at most one step.
    """

    def __init__(self, path: Path, budget: int, attempts: int) -> None:
        """Load the cost from ``path``; allow ``budget`` bytes and ``attempts`` requests overall."""
        self._path = path
        self._budget = budget
        self._most = attempts
        self._attempts, self._bytes = self._load()
        self._unsaved = 0

    @property
    def bytes(self) -> int:
        """The bytes received so far."""
        return self._bytes

    def _load(self) -> tuple[int, int]:
        try:
            source = parse_object(self._path.read_bytes(), "spent")
            return get_int(source, "attempts"), get_int(source, "bytes")
        except (OSError, WireError):  # missing or damaged: start at zero
            return 0, 0

    def attempt(self) -> None:
        """Count a request before it is sent; raises ContentError if the budget is spent."""
        if self._attempts >= self._most or self._bytes >= self._budget:
            self._end()
        self._attempts += 1
        self._save()

    def take(self, size: int) -> None:
        """Count ``size`` bytes received; raises ContentError when they exceed the budget."""
        self._bytes += size
        self._unsaved += size
        if self._unsaved >= SPENT_STEP:
            self._save()
        if self._bytes > self._budget:
            self._save()
            self._end()

    def _save(self) -> None:
        self._unsaved = 0
        text = json.dumps({"attempts": self._attempts, "bytes": self._bytes})
        write_atomically(self._path, text.encode())

    def _end(self) -> None:
        spent = f"{self._bytes} bytes in {self._attempts} requests"
        allowed = f"{self._budget} bytes in {self._most} are allowed"
        raise ContentError("budget", f"spent {spent}, {allowed}", OtaEvent.DOWNLOAD_FAIL)


def spent_path(folder: Path, sha256: str) -> Path:
    """Return the file that stores the cost of a package."""
    return folder / f"{sha256}.spent"


def open_spent(folder: Path, source: Source, settings: DownloadSettings) -> Spent:
    """Load the cost of a package so far, with its budget."""
    budget = source.budget or int(settings.budget_factor * source.length)
    return Spent(spent_path(folder, source.sha256), budget, settings.budget_attempts)


def clear(folder: Path, *keep: Path) -> None:
    """Remove all files from ``folder`` except ``keep``."""
    for path in folder.iterdir():
        if path not in keep:
            path.unlink()


class _Part:
    """The part of the file that has arrived: on disk, and as running hashes."""

    def __init__(
        self,
        source: Source,
        folder: Path,
        settings: DownloadSettings,
        stop: threading.Event,
        progress: Progress,
    ) -> None:
        self.source = source
        self.here = 0
        self.etag: str | None = None
        self._folder = folder
        self._path = folder / f"{source.sha256}.part"
        self._sidecar = folder / f"{source.sha256}.json"
        self._settings = settings
        self._stop = stop
        self._progress = progress
        self._digests = Digests()
        # Whether the bytes come from more than one response. If so, a wrong hash may mean that they
        # do not fit together, and the download is retried once from the start.
        self._patched = False

    @property
    def is_complete(self) -> bool:
        return self.here == self.source.length

    def __enter__(self) -> Self:
        make_folder(self._folder)
        clear(self._folder, self._path, self._sidecar, spent_path(self._folder, self.source.sha256))
        self.spent = open_spent(self._folder, self.source, self._settings)
        self.etag = self._read_sidecar()
        # Unbuffered: close() must not retry bytes that a write failed to bring to the disk.
        self._file = self._path.open("ab", buffering=0)
        try:
            self._resume()
            self._check_space()
        except BaseException:  # __exit__ is not called when __enter__ raises
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()
        self._digests.close()

    def _read_sidecar(self) -> str | None:
        try:
            sidecar = parse_object(self._sidecar.read_bytes(), "sidecar")
            etag = get_string(sidecar, "etag")
            # The order's URL may differ (another host): with If-Range the server decides.
            return etag if _STRONG_ETAG.fullmatch(etag) else None
        except (OSError, WireError):  # missing or damaged: the part cannot be resumed
            return None

    def _resume(self) -> None:
        size = self._path.stat().st_size
        if size > self.source.length or (size < self.source.length and self.etag is None):
            self.start_over()
        with self._path.open("rb") as file:
            while chunk := file.read(READ_SIZE):
                if self._stop.is_set():
                    raise StoppedError("stopped while reading the part")
                self._digests.update(chunk)
                self.here += len(chunk)
        self._patched = self.here > 0
        self._progress(self.here, self.source.length)

    def _check_space(self) -> None:
        needs = self.source.length - self.here + self._settings.reserve
        has = self._settings.free_space(self._folder)
        if not self.is_complete and needs > has:
            raise NoSpaceError(needs, has)

    def remember(self, etag: str | None) -> None:
        """Store the server's ETag of the file before the first byte of it is written."""
        known = self.etag
        self.etag = etag if etag and _STRONG_ETAG.fullmatch(etag) else None
        self._patched = self.here > 0
        if self.etag is None:
            self._sidecar.unlink(missing_ok=True)
        elif self.etag != known or not self._sidecar.exists():
            text = json.dumps({"url": show_url(self.source.url), "etag": self.etag})
            write_atomically(self._sidecar, text.encode())

    def append(self, chunk: bytes) -> None:
        """Write and hash the next bytes."""
        if self.here + len(chunk) > self.source.length:
            detail = f"the body goes on after the signed {self.source.length} bytes"
            raise ContentError("wrong length", detail, OtaEvent.IMAGE_INVALID)
        try:
            self._write(chunk)
        except OSError as error:
            self._raise_disk(error)
        self._digests.update(chunk)
        self.here += len(chunk)
        self._progress(self.here, self.source.length)

    def _write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:  # a raw write may be short
            rest = rest[self._file.write(rest) :]

    def _raise_disk(self, error: OSError) -> None:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise error
        needs = self.source.length - self.here + self._settings.reserve
        raise NoSpaceError(needs, self._settings.free_space(self._folder)) from error

    def start_over(self) -> None:
        """Discard the bytes that have arrived."""
        self._file.truncate(0)
        self._digests.close()
        self._digests = Digests()
        self.here = 0
        self.etag = None
        self._patched = False

    def finish(self) -> Downloaded | None:
        """Verify the complete file; return None if it must be fetched again from the start.

        Raises:
            ContentError: the server's file has another hash than the signed one.
        """
        try:
            fsync_path(self._path)
        except OSError as error:
            self._raise_disk(error)
        sha256, md5 = self._digests.finish()
        if sha256 == self.source.sha256:
            return Downloaded(self._path, md5)
        patched = self._patched
        self.start_over()
        if patched:
            return None
        detail = f"SHA-256 is {sha256}, signed is {self.source.sha256}"
        raise ContentError("wrong hash", detail, OtaEvent.CHECKSUM_FAIL)
