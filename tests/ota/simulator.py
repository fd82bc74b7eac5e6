"""A repository in memory, so that each attack is a few lines.

It is signed with real keys by python-tuf's Metadata API. `Simulator.get` replaces `ota.fetch.web.Web.get`,
so that metadata and packages both come from here.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import urlsplit

from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from tuf.api.metadata import (  # type: ignore[attr-defined]
    Key,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from wire.ota import OtaOrder

URL = "http://repository.test"
ROLES = ("root", "targets", "snapshot", "timestamp")
WEEK = timedelta(days=7)


class Answer:
    """Replaces `ota.fetch.web.Body`: a status, headers, and the bytes in chunks."""

    def __init__(
        self, url: str, status: int, chunks: Iterator[bytes], headers: Mapping[str, str]
    ) -> None:
        self.url = url
        self.status = status
        self._chunks = chunks
        self._headers = headers
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Do nothing: nothing is open."""

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    def read(self, size: int) -> bytes:
        data = self._rest or next(self._chunks, b"")
        self._rest = data[size:]
        return data[:size]


class Simulator:
    """Keys, roles and packages; `publish` starts to serve them."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.signers: dict[str, list[CryptoSigner]] = {
            role: [CryptoSigner.generate_ed25519()] for role in ROLES
        }
        self.root = Root(consistent_snapshot=True, expires=self.now + 520 * WEEK)
        for role in ROLES:
            self.root.add_key(self.key(role), role)
        self.targets = Targets(expires=self.now + 52 * WEEK)
        self.snapshot = Snapshot(expires=self.now + WEEK)
        self.timestamp = Timestamp(expires=self.now + WEEK)
        self.files: dict[str, bytes] = {}
        # Chunks that are served instead of a file, by the end of its path.
        self.streams: dict[str, Callable[[], Iterator[bytes]]] = {}
        self.asked: list[str] = []
        self.read_bytes = 0
        self.publish_root(bump=False)
        self.publish(bump=False)

    def key(self, role: str) -> Key:
        return self.signers[role][0].public_key

    def sign(self, signed: Any, *roles: str) -> bytes:
        metadata: Metadata[Any] = Metadata(signed)
        for role in roles or (signed.type,):
            for signer in self.signers[role]:
                metadata.sign(signer, append=True)
        return metadata.to_bytes()

    @property
    def trusted_root(self) -> bytes:
        return self.files["metadata/1.root.json"]

    def publish_root(self, *, bump: bool = True, old: list[CryptoSigner] | None = None) -> None:
        """Sign and serve the root; ``old`` are the replaced keys, which must sign it too."""
        self.root.version += bump
        metadata: Metadata[Any] = Metadata(self.root)
        for signer in [*self.signers["root"], *(old or [])]:
            metadata.sign(signer, append=True)
        self.files[f"metadata/{self.root.version}.root.json"] = metadata.to_bytes()

    def publish(self, *, bump: bool = True) -> None:
        """Serve the current targets, snapshot and timestamp."""
        for signed in (self.targets, self.snapshot, self.timestamp):
            signed.version += bump
        self.snapshot.meta["targets.json"] = MetaFile(self.targets.version)
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        self.timestamp.unrecognized_fields["x-signed-at"] = f"{self.now:%Y-%m-%dT%H:%M:%SZ}"
        self.serve(self.targets, self.snapshot, self.timestamp)

    def serve(self, *roles: Any) -> None:
        """Sign roles and serve them under their names, without any check."""
        for signed in roles:
            name = f"{signed.type}.json"
            if signed.type != "timestamp":
                name = f"{signed.version}.{name}"
            self.files[f"metadata/{name}"] = self.sign(signed)

    def rotate(self, role: str) -> None:
        """Give a role a new key, in a new root."""
        old = self.signers[role]
        self.root.revoke_key(self.key(role).keyid, role)
        self.signers[role] = [CryptoSigner.generate_ed25519()]
        self.root.add_key(self.key(role), role)
        self.publish_root(old=old if role == "root" else None)

    def later(self, delta: timedelta) -> None:
        """Advance the time for later signatures."""
        self.now += delta
        self.snapshot.expires = self.timestamp.expires = self.now + WEEK

    def add(
        self, package: bytes, version: str, product: str = "story-machine", **more: Any
    ) -> None:
        """Sign a package, with ``more`` custom fields; `publish` serves it."""
        sha256 = hashlib.sha256(package).hexdigest()
        path = f"{product}/{version}.tar.gz"
        custom = {"version": version, "product": product, "installer": "slots"} | more
        self.targets.targets[path] = TargetFile(
            len(package), {"sha256": sha256}, path, {"custom": custom}
        )
        self.files[f"targets/{product}/{sha256}.{version}.tar.gz"] = package

    def order(self, version: str, product: str = "story-machine", **lies: Any) -> OtaOrder:
        """Return the order that an honest cloud sends; ``lies`` replace members."""
        target = self.targets.targets[f"{product}/{version}.tar.gz"]
        path = f"targets/{product}/{target.hashes['sha256']}.{version}.tar.gz"
        fields: dict[str, Any] = {
            "transaction": "77",
            "version": version,
            "old_version": "1.0.0",
            "url": f"{URL}/{path}",
            "size": target.length,
            "signature": hashlib.md5(self.files[path]).hexdigest(),
        }
        return OtaOrder(**(fields | lies))

    def state(self) -> dict[str, bytes]:
        """Return a copy of the served files, as an attacker may keep one."""
        return copy.copy(self.files)

    def get(
        self, url: str, _headers: Mapping[str, str] | None = None, *, redirects: int = 0
    ) -> Answer:
        """Answer as `ota.fetch.web.Web.get` does; ``redirects`` of them are never made here."""
        assert redirects >= 0
        path = urlsplit(url).path.lstrip("/")
        self.asked.append(path)
        for end, stream in self.streams.items():
            if path.endswith(end):
                return Answer(url, 200, self._counted(stream()), {})
        data = self.files.get(path)
        if data is None:
            return Answer(url, 404, iter(()), {})
        return Answer(url, 200, iter([data]), {"Content-Length": str(len(data))})

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.read_bytes += len(chunk)
            yield chunk
