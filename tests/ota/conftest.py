"""A real repository, a real HTTP server with scripted faults, and very small packages."""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ota.fetch.source import DownloadSettings, WebSettings
from ota.install.package import ReleaseInfo
from ota.settings import UpdaterSettings
from release.build import build_package
from release.package_files import AddedTarget
from release.repository import Repository
from tests.ota.updater_rig import DEADLINE, QUICK, Kills, UpdaterRig
from wire.ota import OtaOrder, order_payload

PRODUCT = "story-machine"

# A scripted answer to one request; takes the handler, the file's bytes and the requested start.
Fault = Callable[["Handler", bytes, int], None]


class Handler(BaseHTTPRequestHandler):
    """Serves files with Range, If-Range and ETag, unless the script answers instead."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        start = self.wanted_start()
        self.server.requests.append((self.path, self.headers.get("Range")))
        path = self.server.root / self.path.lstrip("/")
        data = path.read_bytes() if path.is_file() else None
        scripted = self.path.endswith(self.server.scripted) and self.server.script
        if scripted:
            self.server.script.popleft()(self, data or b"", start)
        elif data is None:
            self.answer(404, b"")
        else:
            self.send_file(data, start)

    def wanted_start(self) -> int:
        match = re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range", ""))
        return int(match[1]) if match else 0

    def wanted_stop(self, data: bytes) -> int | None:
        """Return the end of the requested range; None if it is open or there is no range."""
        match = re.fullmatch(r"bytes=\d+-(\d+)", self.headers.get("Range", ""))
        return min(int(match[1]) + 1, len(data)) if match else None

    def etag(self, data: bytes) -> str:
        return f'"{hashlib.sha256(data).hexdigest()[:16]}"'

    def send_file(self, data: bytes, start: int, *, cut: int | None = None) -> None:
        etag = self.etag(data)
        stop = self.wanted_stop(data)
        asked = start > 0 or stop is not None
        stop = stop or len(data)
        partial = asked and self.headers.get("If-Range") in {None, etag}
        if partial and start >= len(data):
            self.answer(416, b"")
            return
        body = data[start:stop] if partial else data
        self.send_response(206 if partial else 200)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.break_off()

    def answer(self, status: int, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def break_off(self, *, reset: bool = False) -> None:
        self.wfile.flush()
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # the script closed the connection
            super().finish()

    def log_message(self, *_args: Any) -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    root: Path
    scripted: str
    script: deque[Fault]
    requests: list[tuple[str, str | None]]
    serves: threading.Event

    def service_actions(self) -> None:
        """Note that it waits for connections."""
        self.serves.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error: some tests disconnect."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Serve tmp_path/www; faults apply to packages, or to other files if ``scripted`` is changed."""
    instance = Server(("127.0.0.1", 0), Handler)
    instance.root = tmp_path / "www"
    instance.root.mkdir()
    instance.scripted = ".tar.gz"
    instance.script = deque()
    instance.requests = []
    instance.serves = threading.Event()
    thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    assert instance.serves.wait(
        60
    )  # a test that puts it behind TLS takes its socket away for a moment
    yield instance
    instance.shutdown()
    thread.join()
    instance.server_close()


@pytest.fixture
def repository(server: Server, tmp_path: Path) -> Repository:
    instance = Repository(server.root, tmp_path / "keys")
    instance.create()
    return instance


def make_package(
    path: Path, version: str, product: str = PRODUCT, content: bytes = b"x = 1\n", **changes: Any
) -> Path:
    """Write a package with one module; ``changes`` are members of its release.json."""
    source = path.with_name(path.name + ".py")
    source.write_bytes(content)
    info: dict[str, Any] = {
        "product": product,
        "version": version,
        "requires_python": ">=3.11",
        "requires": (),
        "packages": ("agent",),
        "unpacked_bytes": len(content),
    }
    build_package(path, ReleaseInfo(**(info | changes)), [("agent/__init__.py", source)])
    return path


def order_for(added: AddedTarget, base_url: str, **changes: Any) -> OtaOrder:
    """Return the order that the cloud would send for a package; ``changes`` are false members."""
    fields: dict[str, Any] = {
        "transaction": "77",
        "version": added.version,
        "old_version": "1.0.0",
        "url": f"{base_url}/{added.path}",
        "size": added.size,
        "signature": added.md5,
    }
    return OtaOrder(**(fields | changes))


class Helpers:
    """Helpers that tests share, since importlib mode has no sibling imports."""

    PRODUCT = PRODUCT
    make_package = staticmethod(make_package)
    order_for = staticmethod(order_for)


@pytest.fixture
def helpers() -> type[Helpers]:
    return Helpers


@pytest.fixture
def added(repository: Repository, tmp_path: Path) -> AddedTarget:
    """Sign version 1.1.0 into the repository."""
    package = make_package(
        tmp_path / "p.tar.gz", "1.1.0", content=random.Random(1).randbytes(500_000)
    )
    return repository.add(package, PRODUCT, "1.1.0")[0]


@pytest.fixture
def rig(server: Server, repository: Repository, tmp_path: Path, helpers: Any) -> UpdaterRig:
    """Make a machine whose updater reads the repository of this server."""
    settings = UpdaterSettings(
        product=helpers.PRODUCT,
        repository=server.url,
        root_file=repository.root_file,
        state_dir=tmp_path / "state",
        confirm_timeout=DEADLINE,
        percent_interval=0.01,
        refresh=QUICK,
        download=DownloadSettings(web=WebSettings(60, 60), retry=QUICK),
    )
    return UpdaterRig(settings, Kills())


@pytest.fixture
def order(added: AddedTarget, server: Server, helpers: Any) -> Callable[..., bytes]:
    """Return a function that makes an order's payload for the added package; members may be false."""
    return lambda **lies: order_payload(helpers.order_for(added, server.url, **lies))
