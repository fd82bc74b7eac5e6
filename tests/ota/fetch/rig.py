"""Downloads for the tests: one file, the settings, and the faults of its server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ota.fetch.partial import Downloaded
from ota.fetch.retry import RetryPolicy
from ota.fetch.source import DownloadSettings, Source, WebSettings
from ota.fetch.whole import download

DATA = bytes(range(256)) * 8000
SHA256 = hashlib.sha256(DATA).hexdigest()
FAST = DownloadSettings(
    web=WebSettings(connect_timeout=60, read_timeout=60),
    retry=RetryPolicy(attempts=3, total=20, first=0.001, longest=0.002),
    free_space=lambda _path: 2**40,
)
Fault = Callable[[Any, bytes, int], None]


class DownloadRig:
    """One download and the files that it leaves."""

    def __init__(self, server: Any, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.source = Source(f"{server.url}/p.tar.gz", len(DATA), SHA256)
        self.stop = threading.Event()
        self.progress: list[tuple[int, int]] = []
        (server.root / "p.tar.gz").write_bytes(DATA)

    def script(self, *faults: Callable[[Any, bytes, int], None]) -> None:
        self.server.script.extend(faults)

    def run(self, settings: DownloadSettings = FAST, **changes: Any) -> Downloaded:
        def seen(done: int, total: int) -> None:
            self.progress.append((done, total))

        source = replace(self.source, **changes)
        return download(source, self.folder, settings, self.stop, seen)

    @property
    def part(self) -> Path:
        return self.folder / f"{SHA256}.part"

    @property
    def ranges(self) -> list[str | None]:
        return [asked for _path, asked in self.server.requests]


def fetch(url: str, folder: Path, *, budget: int | None = None, **changes: Any) -> Downloaded:
    web = WebSettings(connect_timeout=60, read_timeout=60)
    settings = replace(DownloadSettings(web=web, retry=FAST.retry), **changes)
    source = Source(url, len(DATA), SHA256, budget)
    return download(source, folder, settings, threading.Event(), lambda _done, _all: None)


def cut_at(size: int) -> Callable[[Any, bytes, int], None]:
    return lambda handler, data, start: handler.send_file(data, start, cut=size)


def status(code: int) -> Callable[[Any, bytes, int], None]:
    return lambda handler, _data, _start: handler.answer(code, b"")
