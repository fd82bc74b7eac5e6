"""A resumable download: it keeps bytes that arrived, and returns only a file with the signed hash.

One folder holds at most one download: ``<sha256>.part``, the sidecar ``<sha256>.json`` with the URL
and the server's ETag, and ``<sha256>.spent`` with its cost. A later call hashes the part again (a
hash state on disk would cover bytes that the disk may have lost) and requests the rest (Range,
If-Range), also if the URL has changed. It starts over if the file has changed, or if the server has
no ranges or no ETag. All functions block.
"""

from __future__ import annotations

import random
import threading
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

from ota.errors import FetchError, StoppedError
from ota.fetch.pace import LowSpeed, Pacer
from ota.fetch.partial import Downloaded, PartialFile
from ota.fetch.responses import BodyUse, check_retry_after, interpret
from ota.fetch.retry import Attempts
from ota.fetch.source import PROGRESS_BYTES, DownloadSettings, Source
from ota.fetch.web import Body, Web, show_url
from ota.install.installer import Progress


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
        part = stack.enter_context(PartialFile(source, folder, settings, stop, progress))
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


def _fetch(web: Web, part: PartialFile, settings: DownloadSettings, stop: threading.Event) -> None:
    """Send one request and store the body."""
    if part.here and part.etag is None:
        part.start_over()  # without a strong validator the rest may be of another file
    headers = {}
    if part.here and part.etag is not None:
        headers = {"Range": f"bytes={part.here}-", "If-Range": part.etag}
    part.spent.attempt()
    with web.get(part.source.url, headers, redirects=settings.redirects) as body:
        check_retry_after(body)
        use = interpret(
            body.status,
            body.header("Content-Range"),
            body.header("Content-Length"),
            part.here,
            part.source.length,
        )
        if use is not BodyUse.APPEND:
            part.start_over()
        if use is not BodyUse.ASK_AGAIN:
            part.remember(body.header("ETag"))
            _take(body, part, settings, stop)


def _take(body: Body, part: PartialFile, settings: DownloadSettings, stop: threading.Event) -> None:
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
