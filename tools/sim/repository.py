"""The packages' server of a simulation: a signed repository in memory, over the simulated network.

Signing is real and done once a process; a seed chooses which versions are offered, and what the network does to
each request: it takes its time, breaks off, or never answers.
"""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import ota.fetch.web
from ota.errors import FetchError
from ota.install.package import ReleaseInfo
from release.build import build_package
from tests.ota.simulator import Simulator
from tools.sim.clock import START
from tools.sim.life import current

if TYPE_CHECKING:
    from tools.sim.cloud_files import CloudFiles
    from tools.sim.net import Network

PRODUCT = "story-machine"
VERSIONS = ("1.1.0", "1.2.0", "1.3.0", "1.4.0")
PACKAGE_BYTES = 60_000
# Of another build: what follows a package to the signed length is zeros, which gzip passes over.
SHORTER_BYTES = 200
# Seconds until a read of the product's HTTP client fails (`ota.fetch.source.WebSettings`).
READ_SECONDS = 30.0
CHUNK = 16 * 1024
YEARS = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Offered:
    """One signed package: what the cloud's store has of it."""

    version: str
    path: str
    size: int
    md5: str
    sha256: str


class Repository:
    """The signed files."""

    def __init__(self) -> None:
        """Sign all versions."""
        self.simulator = Simulator()
        self.simulator.now = datetime.fromtimestamp(START, UTC)
        roles = self.simulator
        for role in (roles.root, roles.targets, roles.snapshot, roles.timestamp):
            role.expires = roles.now + YEARS
        roles.publish_root(bump=False)
        self.offered: dict[str, Offered] = {}
        self.contents: dict[str, dict[str, bytes]] = {}
        """The files of each version below lib/."""
        self.others: dict[str, bytes] = {}
        """By the path of each package: another build of that version, as long as the signed one."""
        self.other_md5: dict[str, str] = {}
        """What a cloud has of those, by their versions."""
        for version in VERSIONS:
            self._add(version)
        roles.publish()
        self.trusted_root = roles.trusted_root
        self.files = roles.files

    def _add(self, version: str) -> None:
        data = make_package(version)
        self.contents[version] = _files_in(data)
        self.simulator.add(data, version)
        sha256 = hashlib.sha256(data).hexdigest()
        path = f"targets/{PRODUCT}/{sha256}.{version}.tar.gz"
        md5 = hashlib.md5(data).hexdigest()  # noqa: S324  # as the order has it
        self.offered[version] = Offered(version, path, len(data), md5, sha256)
        other = make_package(version, f"another {version}", PACKAGE_BYTES - SHORTER_BYTES)
        self.others[path] = other + bytes(len(data) - len(other))
        self.other_md5[version] = hashlib.md5(self.others[path]).hexdigest()  # noqa: S324  # as the order has it


def make_package(version: str, content: str = "", size: int = PACKAGE_BYTES) -> bytes:
    """Return a release that holds next to nothing, and is large enough to be broken off; ``content`` makes it another one."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "module.py"
        source.write_bytes(random.Random(content or version).randbytes(size))  # noqa: S311  # a simulation
        info = ReleaseInfo(
            product=PRODUCT, version=version, requires_python=">=3.11", requires=(),
            packages=("agent", "ota"), unpacked_bytes=2 * size,
        )  # fmt: skip
        package = Path(folder) / "package.tar.gz"
        build_package(
            package, info, [("agent/__init__.py", source), ("ota/launch/starts.py", source)]
        )
        return package.read_bytes()


def _files_in(package: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(package)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        return {
            name: file.read()
            for name, file in files.items()
            if file is not None and name.startswith("lib/")
        }


class SimBody:
    """Replaces `ota.fetch.web.Body`."""

    def __init__(
        self, web: SimWeb, url: str, status: int, data: bytes, headers: Mapping[str, str]
    ) -> None:
        self.url, self.status = url, status
        self._web, self._data, self._headers = web, data, headers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Have nothing open."""

    def close(self) -> None:
        """Have nothing open."""

    def header(self, name: str) -> str | None:
        """Return a header of the answer."""
        return self._headers.get(name)

    def read(self, size: int) -> bytes:
        """Return the next bytes; raises FetchError."""
        if not self._data:
            return b""
        self._web.pass_segment(self.url)
        part, self._data = self._data[: min(size, CHUNK)], self._data[min(size, CHUNK) :]
        return self._web.spoil(part)


class SimWeb:
    """What `ota.fetch.web.Web.get` does, over one simulation's network."""

    def __init__(self, repository: Repository, net: Network, rng: random.Random) -> None:
        """Serve ``repository``."""
        self.repository, self.net, self.rng = repository, net, rng
        self.breaks = 0.0
        self.files: CloudFiles | None = None
        """Of a cloud some of whose own files may be damaged."""
        self.missing = self.spoils = self.replaces = self.is_busy = False

    def spoil(self, part: bytes) -> bytes:
        """Return a part of what is sent, with a bit of another value now and then if the network ``spoils`` it."""
        if not self.spoils or self.rng.random() < 0.7:
            return part
        spoilt = bytearray(part)
        spoilt[self.rng.randrange(len(part))] ^= 1 << self.rng.randrange(8)
        return bytes(spoilt)

    def pass_segment(self, url: str) -> None:
        """Take a segment's time; raises FetchError if none comes."""
        life = current()
        path = self.net.path("" if life is None else life.name)
        time.sleep(self.net.delay(path))
        if not path.up:
            time.sleep(READ_SECONDS)
            if not path.up:
                raise FetchError(f"{url}: timed out")
        if self.rng.random() < self.breaks:
            raise FetchError(f"{url}: the connection was reset")

    def get(
        self, _web: Any, url: str, headers: Mapping[str, str] | None = None, **_words: Any
    ) -> SimBody:
        """Answer a request; raises FetchError."""
        self.net.asks[1].note(self.net.loop.time())
        self.pass_segment(url)
        path = urlsplit(url).path.removeprefix("/tuf").lstrip("/")
        data = self.repository.files.get(path)
        if self.is_busy:
            return SimBody(self, url, 503, b"", {})
        if data is None or (self.missing and path.startswith("targets/")):
            return SimBody(self, url, 404, b"", {})
        if self.files is not None:
            served = self.files.serve(path, data)
            if served is None:
                return SimBody(
                    self,
                    url,
                    503,
                    b"this package is damaged, and not served\n",
                    {"Retry-After": "600"},
                )
            data = served
        if self.replaces:
            data = self.repository.others.get(path, data)
        etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        wanted = (headers or {}).get("Range", "")
        if not wanted.startswith("bytes=") or not wanted.endswith("-"):
            return SimBody(self, url, 200, data, {"Content-Length": str(len(data)), "ETag": etag})
        start = int(wanted[6:-1])
        told = {
            "Content-Length": str(len(data) - start), "ETag": etag,
            "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}",
        }  # fmt: skip
        return SimBody(self, url, 206, data[start:], told)

    def install(self) -> None:
        """Answer all requests from now on."""
        web: Any = ota.fetch.web.Web
        web.get = lambda each, url, headers=None, **words: self.get(each, url, headers, **words)
