"""A server with a bundle and its map, and a machine that runs an older image."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ota.fetch.packages import Package, fetch_package, install_package
from ota.settings import UpdaterSettings
from ota.trust.target import Target, map_file_name
from ota.trust.terms import MapFile
from tests.ota.bundle import (
    Rauc,
    change,
    make_image,
)
from wire.ota import OtaOrder

OLD = make_image()
NEW = change(OLD, 300, 301, 302, 700)


@dataclass
class Site:
    """A server with a bundle and its map, and a machine that runs the old image."""

    server: Any
    folder: Path
    bundle: bytes
    target: Target
    settings: UpdaterSettings
    rauc: Rauc
    order: OtaOrder

    def fetch(self, stop: threading.Event | None = None, **changes: Any) -> Package:
        settings = replace(self.settings, **changes)
        return fetch_package(
            self.order, self.target, settings, self.rauc, stop or threading.Event(), self.seen
        )

    def seen(self, done: int, total: int) -> None:
        assert 0 <= done <= total

    def install(self, package: Package) -> None:
        install_package(self.rauc, package, self.target, threading.Event(), self.seen)

    @property
    def package_requests(self) -> list[str | None]:
        return [asked for path, asked in self.server.requests if path.endswith(".tar.gz")]

    @property
    def whole(self) -> bool:
        """Whether the package was requested as a whole."""
        return self.package_requests[-1:] == [None]

    @property
    def fetched(self) -> int:
        size = 0
        for asked in self.package_requests:
            assert asked is not None
            first, _dash, last = asked.removeprefix("bytes=").partition("-")
            size += int(last) + 1 - int(first)
        return size

    def remap(self, data: bytes, *, signed: bool = True) -> None:
        """Serve another map; ``signed``: with matching signed metadata."""
        assert self.target.map is not None
        name = map_file_name("1.1.0", self.target.map.sha256)
        if signed:
            sha256 = hashlib.sha256(data).hexdigest()
            self.target = replace(self.target, map=MapFile(len(data), sha256, self.target.map.md5))
            name = map_file_name("1.1.0", sha256)
        (self.server.root / name).write_bytes(data)


def with_byte_changed(handler: Any, data: bytes, start: int) -> None:
    handler.send_file(data[:start] + bytes([data[start] ^ 1]) + data[start + 1 :], start)


def gone(handler: Any, _data: bytes, _start: int) -> None:
    handler.answer(404, b"")


def without_ranges(handler: Any, data: bytes, _start: int) -> None:
    handler.answer(200, data)
