"""A resumable download: what arrived stays, and only bytes with the signed hash come out.

One folder holds at most one download: ``<sha256>.part``, the sidecar ``<sha256>.json`` with the URL
and the server's ETag, and ``<sha256>.spent`` with what it has cost. A later start hashes the part
again (a running hash on disk would vouch for bytes that the disk may have lost) and asks for the
rest (Range, If-Range), also of another address; a changed file, or a server without ranges or ETag,
starts over. Everything here blocks.
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
from ota.errors import ContentError, NoSpaceError, StoppedError, TransportError
from ota.fetch.digests import Digests
from ota.fetch.retry import Attempts, RetryLaterError, RetryPolicy
from ota.fetch.web import Body, Web, WebSettings, parse_retry_after, show_url
from ota.install.installer import Progress
from wire.errors import WireError, show
from wire.fields import get_int, get_string, parse_object
from wire.ota import OtaEvent

READ_SIZE = 512 * 1024
# An attempt that brought this much counts as progress: the count of failures starts afresh.
PROGRESS_BYTES = 64 * 1024
# How often the bytes that a download has cost go to disk: seldom enough for flash.
SPENT_STEP = 4 * 2**20
# Statuses that pass by themselves (RFC 9110): request timeout, too early, too many requests, 5xx.
PASSING_STATUS = frozenset({408, 425, 429}) | frozenset(range(500, 600))
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')


@dataclass(frozen=True, slots=True)
class Source:
    """What to fetch: where from, and the length (bytes) and SHA-256 (hex) that were signed.

    ``budget``: bytes that may come over the network for it altogether, over all attempts and
    restarts; None: `DownloadSettings.budget_factor` times the length.
    """

    url: str
    length: int
    sha256: str
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class DownloadSettings:
    """Limits of a download.

    Attributes:
        low_speed: bytes a second that a server must bring, on the average of ``low_speed_window``
            seconds; slower is treated as a broken connection.
        reserve: bytes that stay free on the disk, for the state that must still be written.
        max_rate: bytes a second that are taken at most, so that a story streams on; 0: no limit.
        redirects: how many are followed, one after the other; never from https to http.
        budget_factor: times the length that a download may cost, where the release says nothing.
        budget_attempts: requests that it may cost, over all restarts; a machine that dies in each
            attempt must not try for ever.
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
    """What an HTTP answer means for the bytes that are already here."""

    APPEND = auto()
    """The rest follows."""
    WHOLE = auto()
    """The whole file follows, what is here is void."""
    ASK_AGAIN = auto()
    """What is here is void, and the whole file must be asked for."""


def download(
    source: Source,
    folder: Path,
    settings: DownloadSettings,
    stop: threading.Event,
    progress: Progress,
    rng: random.Random | None = None,
) -> Downloaded:
    """Fetch a file into ``folder``, going on from what an earlier call left there.

    Args:
        source: what to fetch.
        folder: a folder of its own; anything of another file in it is removed.
        settings: limits.
        stop: ends the work with StoppedError; what arrived stays.
        progress: called with (bytes here, length), from the calling thread.
        rng: the jitter of the waits.

    Raises:
        ContentError: the server's file is not the signed one, the server refuses for good, or the
            data budget is spent.
        TransportError: no success within the attempts.
        NoSpaceError: the disk is too small, before or during.
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
            except TransportError as error:
                attempts.failed(error, progressed=part.here - before >= PROGRESS_BYTES)
                continue
            if done is not None:
                return done


def discard(folder: Path) -> None:
    """Remove a download, whole or part."""
    shutil.rmtree(folder, ignore_errors=True)  # what stays behind, the next download removes


def _fetch(web: Web, part: _Part, settings: DownloadSettings, stop: threading.Event) -> None:
    """Ask once and take what comes."""
    if part.here and part.etag is None:
        part.start_over()  # without a strong validator nobody knows whether the rest fits
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
    """Raise RetryLaterError when the server asks to be left alone for a while."""
    if body.status in PASSING_STATUS:
        seconds = parse_retry_after(body.header("Retry-After"), body.header("Date"))
        if seconds is not None:
            raise RetryLaterError(f"the server answered HTTP {body.status}", seconds)


def judge(
    status: int, content_range: str | None, content_length: str | None, here: int, length: int
) -> Answer:
    """Decide what an answer to a request from byte ``here`` of ``length`` bytes means.

    Raises:
        ContentError: refused for good, or a file of another length.
        TransportError: passing trouble.
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
        raise TransportError(f"the server answered HTTP {status}")
    raise ContentError("refused by the server", f"HTTP {status}", OtaEvent.DOWNLOAD_FAIL)


def _judge_range(content_range: str | None, here: int, length: int) -> Answer:
    match = _CONTENT_RANGE.fullmatch(content_range or "")
    if match is None:
        return Answer.ASK_AGAIN
    if int(match[3]) != length:
        detail = f"the server's file has {match[3]} bytes, {length} are signed"
        raise ContentError("wrong length", detail, OtaEvent.IMAGE_INVALID)
    # Another range than was asked for is of no use, and so is asking that server for one again.
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
        raise TransportError(f"{show_url(part.source.url)}: {detail}")


class LowSpeed:
    """Tells a slow server from a stalled one; the clock (seconds) is the caller's."""

    def __init__(self, low_speed: int, window: float, now: float) -> None:
        """Expect ``low_speed`` bytes a second over each ``window`` seconds, from ``now`` on."""
        self._least = low_speed * window
        self._window = window
        self._start = now
        self._bytes = 0

    def add(self, size: int, now: float) -> None:
        """Count ``size`` bytes that came by ``now``; raises TransportError when it was too few."""
        self._bytes += size
        if now - self._start >= self._window:
            if self._bytes < self._least:
                took = f"{self._bytes} bytes in {now - self._start:.0f} s"
                raise TransportError(f"too slow: {took}")
            self._start, self._bytes = now, 0


class Pacer:
    """Keeps a download under a rate; the clock (seconds) is the caller's."""

    def __init__(self, max_rate: int, now: float) -> None:
        """Allow ``max_rate`` bytes a second on the average from ``now`` on; 0: no limit."""
        self._max_rate = max_rate
        self._start = now
        self._bytes = 0
        # Small pieces under a limit: ten a second, so that progress is seen and a stop is quick.
        self.piece = min(READ_SIZE, max(1, max_rate // 10)) if max_rate else READ_SIZE

    def add(self, size: int, now: float) -> float:
        """Count ``size`` bytes and return how many seconds to wait before the next piece."""
        self._bytes += size
        if not self._max_rate:
            return 0.0
        return max(0.0, self._start + self._bytes / self._max_rate - now)


class Spent:
    """What a download has cost, over restarts: ``path`` holds requests and bytes.

    The request is on disk before it is made; bytes follow in steps, of which a crash loses one.
    """

    def __init__(self, path: Path, budget: int, attempts: int) -> None:
        """Go on from what ``path`` says; ``budget`` is in bytes."""
        self._path = path
        self._budget = budget
        self._most = attempts
        self._attempts, self._bytes = self._load()
        self._unsaved = 0

    @property
    def bytes(self) -> int:
        """What came over the network so far."""
        return self._bytes

    def _load(self) -> tuple[int, int]:
        try:
            source = parse_object(self._path.read_bytes(), "spent")
            return get_int(source, "attempts"), get_int(source, "bytes")
        except (OSError, WireError):  # not there, or damaged: it begins
            return 0, 0

    def attempt(self) -> None:
        """Count a request; raises ContentError when it is one too many."""
        if self._attempts >= self._most or self._bytes >= self._budget:
            self._end()
        self._attempts += 1
        self._save()

    def take(self, size: int) -> None:
        """Count bytes that came; raises ContentError when they are over the budget."""
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
    """Return where the cost of a package is kept."""
    return folder / f"{sha256}.spent"


def open_spent(folder: Path, source: Source, settings: DownloadSettings) -> Spent:
    """Return what a package has cost so far, held against its budget."""
    budget = source.budget or int(settings.budget_factor * source.length)
    return Spent(spent_path(folder, source.sha256), budget, settings.budget_attempts)


def clear(folder: Path, *keep: Path) -> None:
    """Remove what is not of this download."""
    for path in folder.iterdir():
        if path not in keep:
            path.unlink()


class _Part:
    """The bytes that are here: on disk, and as running hashes."""

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
        # Whether the bytes come of more than one answer: then a wrong hash may mean that they do
        # not fit together, and one try from the start is due.
        self._patched = False

    @property
    def is_complete(self) -> bool:
        return self.here == self.source.length

    def __enter__(self) -> Self:
        make_folder(self._folder)
        clear(self._folder, self._path, self._sidecar, spent_path(self._folder, self.source.sha256))
        self.spent = open_spent(self._folder, self.source, self._settings)
        self.etag = self._read_sidecar()
        # Unbuffered: what a write could not bring to the disk must not be tried again by close().
        self._file = self._path.open("ab", buffering=0)
        try:
            self._resume()
            self._check_space()
        except BaseException:  # whatever it is, __exit__ will not be called
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
            # The order's URL may differ (another host): If-Range lets the server judge.
            return etag if _STRONG_ETAG.fullmatch(etag) else None
        except (OSError, WireError):  # not there, or damaged: the part cannot be continued
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
        """Note what the server calls this file, before the first byte of it is written."""
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
        while rest:  # a raw write may take less than it is given
            rest = rest[self._file.write(rest) :]

    def _raise_disk(self, error: OSError) -> None:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise error
        needs = self.source.length - self.here + self._settings.reserve
        raise NoSpaceError(needs, self._settings.free_space(self._folder)) from error

    def start_over(self) -> None:
        """Forget the bytes that are here."""
        self._file.truncate(0)
        self._digests.close()
        self._digests = Digests()
        self.here = 0
        self.etag = None
        self._patched = False

    def finish(self) -> Downloaded | None:
        """Check the whole; None when it has to be fetched once more from the start.

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
