"""Fetch only the parts of an image's package that this machine lacks.

RAUC copies the blocks that the running image has from there, so a bundle with holes in their place is
enough (`ota.fetch.bundle_map`). A signed map tells which parts hold which blocks. The file is
``<sha256>.sparse`` in the download folder, the map ``<sha256>.map``.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import BinaryIO
from urllib.parse import urljoin

from base.files import make_folder, write_atomically
from ota.errors import (
    ContentError,
    FetchError,
    MachineError,
    NoDeltaError,
    StoppedError,
)
from ota.fetch.bundle_map import BLOCK, BundleMap, block_key, block_keys, blocks_lacking, parse_map
from ota.fetch.folder import clear
from ota.fetch.pace import LowSpeed
from ota.fetch.parts import Fetcher, SparseFile
from ota.fetch.responses import PASSING_STATUS, check_page, check_retry_after
from ota.fetch.retry import Attempts
from ota.fetch.source import DownloadSettings, Source
from ota.fetch.spent import Spent, open_spent, spent_path
from ota.fetch.web import Web
from ota.install.installer import ImageInstaller, Installer, Progress
from ota.settings import UpdaterSettings
from ota.trust.target import Target, map_file_name
from ota.trust.terms import MapFile
from wire.errors import WireError
from wire.ota import OtaEvent

READ_SIZE = 64 * 1024

_log = logging.getLogger(__name__)


class Delta:
    """One package of which only the parts are fetched that this machine lacks."""

    def __init__(
        self,
        source: Source,
        target: Target,
        map_file: MapFile,
        settings: UpdaterSettings,
        rng: random.Random | None = None,
    ) -> None:
        """Fetch the package ``source`` by the map ``map_file``; ``rng`` is the jitter of the waits."""
        self._source = source
        self._target = target
        self._map_file = map_file
        self._wanted = settings.delta
        self._settings: DownloadSettings = settings.download
        self._rng = rng
        self._folder = settings.download_dir
        self._path = self._folder / f"{source.sha256}.sparse"
        self._map_path = self._folder / f"{source.sha256}.map"

    def fetch(self, installer: Installer, stop: threading.Event, progress: Progress) -> Path:
        """Fetch what an installation reads and the running image does not have; return the file.

        Raises:
            NoDeltaError: parts cannot be used; the package must be fetched whole.
            OtaError, OSError: as `ota.fetch.parts.Fetcher.fetch`.
        """
        if not self._wanted:
            raise NoDeltaError("parts are switched off")
        if not isinstance(installer, ImageInstaller):
            raise NoDeltaError("this installer takes whole packages")
        if (self._folder / f"{self._source.sha256}.part").exists():
            raise NoDeltaError("that was begun")
        device = _open_running_image(installer)
        with device, self._open(stop) as (fetcher, bundle):
            progress(0, self._source.length)
            fetcher.fetch(bundle.union(bundle.always()))
            chunks = find_needed(bundle, fetcher.sparse, device, stop)
            fetcher.fetch(chunks, progress)
            _log.info(
                "fetched %d of the package's %d bytes, of which an installation needs %d",
                fetcher.spent.bytes, self._source.length, sum(bundle.span(n)[1] for n in chunks),
            )  # fmt: skip
        progress(self._source.length, self._source.length)
        return self._path

    def fill(self, stop: threading.Event) -> None:
        """Fetch all missing chunks and verify the signed hash of the whole package.

        Raises:
            OtaError, OSError: as `ota.fetch.parts.Fetcher.fetch`, but never NoDeltaError.
        """
        try:
            with self._open(stop) as (fetcher, bundle):
                fetcher.fetch(bundle.chunks)
        except NoDeltaError as error:
            raise FetchError(str(error)) from error
        with self._path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self._source.sha256:
            detail = f"SHA-256 is {found}, signed is {self._source.sha256}"
            raise ContentError("wrong hash", detail, OtaEvent.CHECKSUM_FAIL)

    @contextmanager
    def _open(self, stop: threading.Event) -> Iterator[tuple[Fetcher, BundleMap]]:
        make_folder(self._folder)
        cost = spent_path(self._folder, self._source.sha256)
        clear(self._folder, self._path, self._map_path, cost)
        spent = open_spent(self._folder, self._source, self._settings)
        with ExitStack() as stack:
            web = stack.enter_context(Web(self._settings.web))
            bundle = self._read_map(web, spent, stop)
            sparse = stack.enter_context(SparseFile(self._path, bundle, stop))
            fetcher = Fetcher(
                self._source, sparse, bundle, web, spent, self._settings, stop, self._rng
            )
            yield fetcher, bundle

    def _read_map(self, web: Web, spent: Spent, stop: threading.Event) -> BundleMap:
        try:
            data = self._map_path.read_bytes()
        except FileNotFoundError:
            data = b""
        if not self._map_file.fits(data):
            data = self._fetch_map(web, spent, stop)
            write_atomically(self._map_path, data)
        try:
            bundle = parse_map(data)
        except WireError as error:
            raise NoDeltaError(str(error)) from error
        if bundle.length != self._source.length:
            raise NoDeltaError(f"the map is of a package of {bundle.length} bytes")
        return bundle

    def _fetch_map(self, web: Web, spent: Spent, stop: threading.Event) -> bytes:
        name = map_file_name(self._target.version, self._map_file.sha256)
        url = urljoin(self._source.url, name)
        attempts = Attempts(self._settings.retry, stop, self._rng)
        while True:
            try:
                data = self._ask_map(web, url, spent, stop)
                break
            except FetchError as error:
                try:
                    attempts.failed(error)
                except FetchError as last:
                    raise NoDeltaError(f"map: {last}") from last
        if not self._map_file.fits(data):
            raise NoDeltaError("the server's map is not the signed one")
        return data

    def _ask_map(self, web: Web, url: str, spent: Spent, stop: threading.Event) -> bytes:
        spent.attempt()
        data = bytearray()
        with web.get(url, redirects=self._settings.redirects) as body:
            check_retry_after(body)
            if body.status in PASSING_STATUS:
                raise FetchError(f"the server answered HTTP {body.status}")
            if body.status != 200:
                raise NoDeltaError(f"map: HTTP {body.status}")
            meter = LowSpeed(self._settings.low_speed, self._settings.low_speed_window, monotonic())
            while piece := body.read(READ_SIZE):
                if not data:
                    check_page(body, piece, self._map_file.length)
                spent.take(len(piece))
                meter.add(len(piece), monotonic())
                data += piece
                if stop.is_set():
                    raise StoppedError("stopped while downloading")
                if len(data) > self._map_file.length:
                    raise NoDeltaError("the server's map is longer than signed")
        return bytes(data)


def _open_running_image(installer: ImageInstaller) -> BinaryIO:
    try:
        return installer.running_image().open("rb", buffering=0)
    except (OSError, MachineError) as error:
        raise NoDeltaError(f"the running image: {error}") from error


def find_needed(
    bundle: BundleMap, sparse: SparseFile, device: BinaryIO, stop: threading.Event
) -> list[int]:
    """Return the chunks that an installation reads; those of `BundleMap.always` must be present.

    Blocks that the running image on ``device`` has are not needed.
    """
    wanted = block_keys(bundle.read_index(sparse.read))
    lacking = blocks_lacking(wanted, _read_block_keys(device, stop))
    return bundle.union(chain(bundle.always(), bundle.holding(lacking)))


def _read_block_keys(device: BinaryIO, stop: threading.Event) -> array[int]:
    """Return the keys of the device's blocks, and of the zero block, which is never fetched."""
    keys = array("Q", [block_key(bytes(BLOCK))])
    try:
        while piece := device.read(READ_SIZE):
            if stop.is_set():
                raise StoppedError("stopped while reading the running image")
            keys.extend(block_key(piece[at : at + BLOCK]) for at in range(0, len(piece), BLOCK))
    except OSError as error:
        raise NoDeltaError(f"the running image: {error}") from error
    return keys
