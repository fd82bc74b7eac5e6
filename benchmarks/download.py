"""Compares the speed of `ota.fetch.whole` with ``curl URL | sha256sum``, both from a local server.

The two alternate. The server is a separate process that supports Range and sends with sendfile.
Unlike the pipe, the download also writes the file, computes MD5 and syncs everything to disk.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.figures import Aim, Figure, command_line, figure
from ota.fetch.folder import discard
from ota.fetch.source import DownloadSettings, Source
from ota.fetch.whole import download
from tools.processes import BenchError

MIB = 2**20
MEBIBYTES = 200
ROUNDS = 7
DEADLINE = 30.0


class RangeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path

    def do_GET(self) -> None:
        path = self.folder / Path(self.path).name
        size = path.stat().st_size
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        end = int(match[2]) + 1 if match and match[2] else size
        self.send_response(206 if match else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("ETag", f'"{size}"')
        if match:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.end_headers()
        self.wfile.flush()
        with path.open("rb") as source:
            while start < end:
                start += os.sendfile(self.connection.fileno(), source.fileno(), start, end - start)

    def log_message(self, *_args: Any) -> None:
        pass


def serve(folder: Path, ready: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent terminates us
    RangeHandler.folder = folder
    with ThreadingHTTPServer(("127.0.0.1", 0), RangeHandler) as server:
        ready.send(server.server_address[1])
        server.serve_forever()


def make_file(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    source = random.Random(1)
    with path.open("wb") as file:
        for _ in range(size // MIB):
            block = source.randbytes(MIB)
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run_curl(url: str, sha256: str) -> None:
    pipe = f"curl --silent --show-error {url} | sha256sum"
    done = subprocess.run(["sh", "-c", pipe], check=True, capture_output=True, text=True)
    if done.stdout.split()[0] != sha256:
        raise BenchError("curl got other bytes")


def run_download(source: Source, folder: Path) -> None:
    download(source, folder, DownloadSettings(), threading.Event(), lambda _done, _total: None)


def measure() -> list[Figure]:
    """Fetch the same file with both, alternating."""
    if shutil.which("curl") is None:
        raise BenchError("curl is not installed")
    with tempfile.TemporaryDirectory(prefix="story-bench-") as name:
        folder = Path(name)
        sha256 = make_file(folder / "file", MEBIBYTES * MIB)
        with server(folder) as url:
            return [_measure(f"{url}file", sha256, folder / "download")]


def _measure(url: str, sha256: str, folder: Path) -> Figure:
    source = Source(url, MEBIBYTES * MIB, sha256)
    ours: list[float] = []
    curls: list[float] = []
    for turn in range(ROUNDS):
        # The first of a turn finds the disk less busy, so the order alternates.
        works = [
            (curls, partial(run_curl, url, sha256)),
            (ours, partial(run_download, source, folder)),
        ]
        for rates, work in works if turn % 2 else reversed(works):
            rates.append(MEBIBYTES / timed(work))
            discard(folder)
    name = f"download and verify {MEBIBYTES} MiB"
    return figure(name, "MiB/s", ours, "curl into sha256sum", curls, Aim("ratio", "≥", 0.8))


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Serve a folder's files from a separate process; yields its URL, which ends in a slash."""
    # Not forked: the child must not inherit this process's signal handlers.
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=serve, args=(folder, sender), daemon=True)
    process.start()
    try:
        if not receiver.poll(DEADLINE):
            raise BenchError(f"the file server did not start within {DEADLINE:g} s")
        yield f"http://127.0.0.1:{receiver.recv()}/"
    finally:
        process.terminate()
        process.join()


if __name__ == "__main__":
    sys.exit(command_line(__doc__, measure))
