"""The part of a file that has arrived, kept until it is complete and verified.

``<sha256>.part`` holds the bytes. The part is hashed again by each start: a hash state on disk would cover
bytes that the disk may have lost.
"""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Self

from base.files import fsync_path, make_folder
from ota.errors import ContentError, StoppedError
from ota.fetch.digests import Digests
from ota.fetch.folder import clear
from ota.fetch.pace import READ_SIZE
from ota.fetch.source import DownloadSettings, Source
from ota.fetch.spent import open_spent, spent_path
from ota.install.installer import Progress
from ota.space import no_space
from wire.ota import OtaEvent
from wire.records import dataclass


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A complete file with the signed length and SHA-256; ``md5`` (hex) is for the order's hint."""

    path: Path
    md5: str


class PartialFile:
    """The part of the file that has arrived: on disk, and as running hashes."""

    def __init__(
        self,
        source: Source,
        folder: Path,
        settings: DownloadSettings,
        stop: threading.Event,
        progress: Progress,
    ) -> None:
        """Keep the part of ``source`` in ``folder``; entering opens it and hashes what is there."""
        self.source = source
        self.here = 0
        self.refused = 0
        """How often in a row a server did not go on where it breaks off."""
        self._passed_over = 0
        self._folder = folder
        self._path = folder / f"{source.sha256}.part"
        self._settings = settings
        self._stop = stop
        self._progress = progress
        self._digests = Digests()
        # Whether the bytes come from more than one response. If so, a wrong hash may mean that they
        # do not fit together, and the download is retried once from the start.
        self._patched = False

    @property
    def is_complete(self) -> bool:
        """Whether all bytes have arrived; `finish` verifies them."""
        return self.here == self.source.length

    def __enter__(self) -> Self:
        make_folder(self._folder)
        clear(self._folder, self._path, spent_path(self._folder, self.source.sha256))
        self.spent = open_spent(self._folder, self.source, self._settings)
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

    def _resume(self) -> None:
        if self._path.stat().st_size > self.source.length:
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
            raise no_space(self._folder, needs, has)

    def resume_from(self, passed_over: int) -> None:
        """Begin to take a response, whose first ``passed_over`` bytes are here already."""
        self._passed_over = passed_over
        self._patched = self.here > 0

    def append(self, chunk: bytes) -> None:
        """Write and hash the next bytes, but for those that are here already."""
        skipped = min(len(chunk), self._passed_over)
        self._passed_over -= skipped
        chunk = chunk[skipped:]
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
        has = self._settings.free_space(self._folder)
        raise no_space(self._folder, needs, has, error) from error

    def start_over(self) -> None:
        """Discard the bytes that have arrived."""
        self._file.truncate(0)
        self._digests.close()
        self._digests = Digests()
        self.here = 0
        self._passed_over = 0
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
