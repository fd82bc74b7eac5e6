"""A resumable download: it keeps bytes that arrived, and returns only a file with the signed hash.

One folder holds at most one download: ``<sha256>.part``, and ``<sha256>.spent`` with its cost. A later
call hashes the part again (a hash state on disk would cover bytes that the disk may have lost) and
requests the rest (Range), also if the URL has changed. No validator of the server's is asked for: whether
the bytes fit together, the signed hash of the whole tells. Only if it does not match, what is here is
dropped. All functions block.
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
from ota.fetch.responses import BodyUse, check_page, check_retry_after, interpret
from ota.fetch.retry import Attempts
from ota.fetch.source import PROGRESS_BYTES, DownloadSettings, Source
from ota.fetch.web import Body, Web, show_url
from ota.install.installer import Progress

# How often a server is asked for the rest before it is asked for the whole again.
REFUSALS = 2


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
    """Ask for what is not here yet, and store it; a server that does not go on there is asked for the whole in the end."""
    status = _ask(web, part, settings, stop, part.here)
    if status is None:
        return
    # What is here stays, and the hash of the whole tells whether it fits. Of several nodes the next one may have ranges.
    part.refused += 1
    if part.refused < REFUSALS:
        raise FetchError(
            f"{show_url(part.source.url)}: the server does not go on at byte {part.here} (HTTP {status})"
        )
    part.refused = 0
    _ask(web, part, settings, stop, 0)


def _ask(
    web: Web, part: PartialFile, settings: DownloadSettings, stop: threading.Event, here: int
) -> int | None:
    """Send one request for the bytes from ``here`` on and store the body; return the status of one that is of no use."""
    headers = {"Range": f"bytes={here}-"} if here else {}
    part.spent.attempt()
    with web.get(part.source.url, headers, redirects=settings.redirects) as body:
        check_retry_after(body)
        first = (
            body.read(Pacer(settings.max_rate, monotonic()).piece) if body.status == 200 else b""
        )
        check_page(body, first, part.source.length)
        told = body.header("Content-Range"), body.header("Content-Length")
        use = interpret(body.status, *told, here, part.source.length)
        if use is BodyUse.ASK_AGAIN:
            return body.status
        # A server without ranges sends all of it: what is here already is passed over.
        part.resume_from(part.here if use is BodyUse.WHOLE else 0)
        part.refused = 0
        _take(body, first, part, settings, stop)
    return None


def _take(
    body: Body, first: bytes, part: PartialFile, settings: DownloadSettings, stop: threading.Event
) -> None:
    meter = LowSpeed(settings.low_speed, settings.low_speed_window, monotonic())
    pacer = Pacer(settings.max_rate, monotonic())
    chunk = first or body.read(pacer.piece)
    while chunk:
        part.spent.take(len(chunk))
        if stop.wait(pacer.add(len(chunk), monotonic())):
            raise StoppedError("stopped while downloading")
        part.append(chunk)
        meter.add(len(chunk), monotonic())
        chunk = body.read(pacer.piece)
    if not part.is_complete:
        detail = f"the body ended at byte {part.here} of {part.source.length}"
        raise FetchError(f"{show_url(part.source.url)}: {detail}")
