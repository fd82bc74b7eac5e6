"""How fast `ota.download` is beside ``curl URL | sha256sum``: both from one local server, in turns.

The server is a process of its own that supports Range and sends with sendfile. The download also
writes the file, computes MD5 and brings all to the disk, which the pipe does not.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ota.download import DownloadSettings, Source, discard, download

MIB = 2**20


class RangeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    file: Path

    def do_GET(self) -> None:
        size = self.file.stat().st_size
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        self.send_response(206 if match else 200)
        self.send_header("Content-Length", str(size - start))
        self.send_header("ETag", f'"{size}"')
        if match:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        self.wfile.flush()
        with self.file.open("rb") as source:
            while start < size:
                start += os.sendfile(self.connection.fileno(), source.fileno(), start, size - start)

    def log_message(self, *_args: Any) -> None:
        pass


def serve(file: Path, ready: Connection) -> None:
    RangeHandler.file = file
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
        raise SystemExit("curl got other bytes")


def run_download(source: Source, folder: Path) -> None:
    download(source, folder, DownloadSettings(), threading.Event(), lambda _done, _total: None)


def measure(url: str, sha256: str, size: int, folder: Path, rounds: int) -> None:
    source = Source(url, size, sha256)
    ours, curls = [], []
    for _ in range(rounds):
        curls.append(timed(lambda: run_curl(url, sha256)))
        ours.append(timed(lambda: run_download(source, folder / "download")))
        discard(folder / "download")
    curl, own = statistics.median(curls), statistics.median(ours)
    mib = size / MIB
    print(f"download of {mib:.0f} MiB over loopback, median of {rounds}:")
    print(f"  curl | sha256sum    {mib / curl:8.0f} MiB/s")
    print(f"  ota.download        {mib / own:8.0f} MiB/s   (also MD5, file, fsync)")
    print(f"  ratio               {curl / own:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if shutil.which("curl") is None:
        raise SystemExit("curl is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sha256 = make_file(folder / "file", options.mib * MIB)
        receiver, sender = multiprocessing.Pipe(duplex=False)
        server = multiprocessing.Process(target=serve, args=(folder / "file", sender), daemon=True)
        server.start()
        url = f"http://127.0.0.1:{receiver.recv()}/file"
        try:
            measure(url, sha256, options.mib * MIB, folder, options.rounds)
        finally:
            server.terminate()
            server.join()


if __name__ == "__main__":
    main()
