"""A release repository on disk: signed TUF metadata and the packages it admits.

``metadata/`` and ``targets/`` are what a web server serves. Each change is written in the order that
clients need: package, targets, snapshot, timestamp; timestamp.json is the one file that is replaced,
so a crash before it leaves the old state whole and clients never see half of the new one.
Keys live elsewhere, one PEM file a role; one key of each role signs (thresholds can grow).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tuf.api.exceptions import RepositoryError

from ota.admission import INSTALLER
from ota.files import Replacement, fsync_path, make_folder, write_atomically
from ota.package import check_product
from ota.trust import SIGNED_AT, TIME_FORMAT, target_file_names, target_path
from wire.ota import version_key

if TYPE_CHECKING:  # the same classes, under the names that mypy sees them exported from
    from securesystemslib.signer._crypto_signer import CryptoSigner
    from tuf.api._payload import MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
    from tuf.api.metadata import Metadata
else:
    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import (
        Metadata,
        MetaFile,
        Root,
        Signed,
        Snapshot,
        TargetFile,
        Targets,
        Timestamp,
    )

ROLES = ("root", "targets", "snapshot", "timestamp")
# A device that was in a drawer must still follow; a lost targets key must not sign for ever; the
# two online roles bound how long a device can be kept from news (freeze).
LIFETIME = {
    "root": timedelta(days=3650),
    "targets": timedelta(days=365),
    "snapshot": timedelta(days=7),
    "timestamp": timedelta(days=7),
}
# Seconds that a second writer waits for the first: an `add` copies one package.
LOCK_TIMEOUT = 60.0
COPY_SIZE = 2**20

S = TypeVar("S", "Root", "Targets", "Snapshot", "Timestamp")


class ReleaseToolError(Exception):
    """The release tool cannot do what it was asked; the message is for the person who asked."""


@dataclass(frozen=True, slots=True)
class AddedTarget:
    """A package in the repository; ``path`` is relative to the repository's folder."""

    target: str
    path: str
    size: int
    md5: str
    sha256: str
    version: str
    product: str


class Repository:
    """One repository folder; ``keys`` is needed to change it, not to read it."""

    def __init__(self, folder: Path, keys: Path | None = None) -> None:
        """Work on ``folder``, signing with the keys in ``keys``."""
        self.folder = folder
        self.metadata_dir = folder / "metadata"
        self._keys = keys

    @property
    def root_file(self) -> Path:
        """The root that devices ship with."""
        return self.metadata_dir / "root.json"

    def create(self) -> None:
        """Make keys and an empty, signed repository; keys of an earlier attempt are used again.

        Raises:
            ReleaseToolError: there is one already.
        """
        make_folder(self.folder)
        with self._locked():
            if self.root_file.exists():
                raise ReleaseToolError(f"{self.folder}: already a repository")
            make_folder(self.metadata_dir)
            make_folder(self.folder / "targets")
            signers = {role: self._make_key(role) for role in ROLES}
            root = Root(consistent_snapshot=True, expires=_expiry("root"))
            for role, signer in signers.items():
                root.add_key(signer.public_key, role)
            self._publish(Targets(expires=_expiry("targets")), Snapshot(), Timestamp())
            data = self._sign(root)
            write_atomically(self.metadata_dir / "1.root.json", data)
            write_atomically(self.root_file, data)

    def add(
        self, file: Path, product: str, version: str, installer: str = INSTALLER
    ) -> AddedTarget:
        """Sign ``file`` as ``product``'s ``version``; the same file again changes nothing.

        Raises:
            ReleaseToolError: that version is there with other bytes, or the repository is damaged.
            WireError: ``product`` or ``version`` is none.
            OSError: a file cannot be read or written.
        """
        check_product(product)
        version_key(version)
        with self._locked():
            targets = self._current(Targets)
            added = self._describe(file, product, version)
            known = targets.targets.get(added.target)
            if known is not None and known.hashes.get("sha256") != added.sha256:
                raise ReleaseToolError(
                    f"{added.target}: already there with other bytes; a version is never replaced"
                )
            self._copy(file, added)
            if known is None:
                targets.targets[added.target] = _target_file(added, installer)
                targets.version += 1
                targets.expires = _expiry("targets")
                self._publish(targets, self._current(Snapshot), self._current(Timestamp))
        return added

    def refresh(self) -> None:
        """Sign a new snapshot and timestamp, before the old ones expire."""
        with self._locked():
            snapshot, timestamp = self._current(Snapshot), self._current(Timestamp)
            self._publish(None, snapshot, timestamp)

    def show(self) -> dict[str, object]:
        """Describe the repository: versions and expiry of the roles, and all targets."""
        signed: list[Signed] = [
            self._current(Root),
            self._current(Targets),
            self._current(Snapshot),
            self._current(Timestamp),
        ]
        roles = {
            role.type: {
                "version": role.version,
                "expires": role.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            for role in signed
        }
        targets = [
            {"target": path, "size": target.length, "sha256": target.hashes["sha256"]}
            | (target.custom or {})
            for path, target in sorted(self._current(Targets).targets.items())
        ]
        return {"repository": str(self.folder), "roles": roles, "targets": targets}

    def verify(self) -> dict[str, object]:
        """Check signatures, versions, expiry and every package's bytes, as a device would.

        Raises:
            ReleaseToolError: names the first thing that a device would refuse.
        """
        root = self._load(Root, "root.json")
        roles: dict[str, Metadata[Any]] = {
            "root": root,
            "timestamp": self._load(Timestamp, "timestamp.json"),
            "snapshot": self._load(Snapshot, self._name(Snapshot)),
            "targets": self._load(Targets, self._name(Targets)),
        }
        for role, metadata in roles.items():
            try:
                root.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
            except (RepositoryError, ValueError) as error:
                raise ReleaseToolError(f"{role}: {error}") from error
            if metadata.signed.is_expired():
                raise ReleaseToolError(f"{role}: expired on {metadata.signed.expires}")
        targets = self._current(Targets).targets
        for path, target in targets.items():
            self._verify_package(path, target)
        return {"repository": str(self.folder), "targets": len(targets), "valid": True}

    def _verify_package(self, path: str, target: TargetFile) -> None:
        product, _, _ = path.partition("/")
        version = str((target.custom or {}).get("version"))
        name = target_file_names(version, target.hashes["sha256"])[0]
        try:
            with (self.folder / "targets" / product / name).open("rb") as file:
                target.verify_length_and_hashes(file)
        except (RepositoryError, OSError) as error:
            raise ReleaseToolError(f"{path}: {error}") from error

    def _describe(self, file: Path, product: str, version: str) -> AddedTarget:
        sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        with file.open("rb") as source:
            while chunk := source.read(COPY_SIZE):
                sha256.update(chunk)
                md5.update(chunk)  # the order's hint, not trust
                size += len(chunk)
        if not size:
            raise ReleaseToolError(f"{file}: empty")
        name = target_file_names(version, sha256.hexdigest())[0]
        return AddedTarget(
            target=target_path(product, version),
            path=f"targets/{product}/{name}",
            size=size,
            md5=md5.hexdigest(),
            sha256=sha256.hexdigest(),
            version=version,
            product=product,
        )

    def _copy(self, file: Path, added: AddedTarget) -> None:
        path = self.folder / added.path
        make_folder(path.parent)
        digest = hashlib.sha256()
        with Replacement(path) as copy, file.open("rb") as source:
            while chunk := source.read(COPY_SIZE):
                digest.update(chunk)
                copy.write(chunk)
            if digest.hexdigest() != added.sha256:
                raise ReleaseToolError(f"{file}: changed while it was being added")

    def _publish(self, targets: Targets | None, snapshot: Snapshot, timestamp: Timestamp) -> None:
        """Write what changed in the order that keeps every moment valid for clients."""
        if targets is not None:
            write_atomically(
                self.metadata_dir / f"{targets.version}.targets.json", self._sign(targets)
            )
            snapshot.meta["targets.json"] = MetaFile(version=targets.version)
        if (self.metadata_dir / "timestamp.json").exists():
            snapshot.version += 1
            timestamp.version += 1
        snapshot.expires, timestamp.expires = _expiry("snapshot"), _expiry("timestamp")
        name = f"{snapshot.version}.snapshot.json"
        write_atomically(self.metadata_dir / name, self._sign(snapshot))
        timestamp.snapshot_meta = MetaFile(version=snapshot.version)
        timestamp.unrecognized_fields[SIGNED_AT] = datetime.now(UTC).strftime(TIME_FORMAT)
        write_atomically(self.metadata_dir / "timestamp.json", self._sign(timestamp))

    def _current(self, kind: type[S]) -> S:
        return self._load(kind, self._name(kind)).signed

    def _name(self, kind: type[Signed]) -> str:
        """Return the file that timestamp.json, and nothing newer, points at."""
        if kind in {Root, Timestamp}:
            return f"{kind.type}.json"
        snapshot_version = self._load(Timestamp, "timestamp.json").signed.snapshot_meta.version
        name = f"{snapshot_version}.snapshot.json"
        if kind is Snapshot:
            return name
        return f"{self._load(Snapshot, name).signed.meta['targets.json'].version}.targets.json"

    def _load(self, kind: type[S], name: str) -> Metadata[S]:
        path = self.metadata_dir / name
        try:
            metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
        except FileNotFoundError as error:
            raise ReleaseToolError(f"{path}: not there (run init first?)") from error
        except RepositoryError as error:
            raise ReleaseToolError(f"{path}: not TUF metadata ({error})") from error
        if not isinstance(metadata.signed, kind):
            raise ReleaseToolError(f"{path}: is {metadata.signed.type}, expected {kind.type}")
        return metadata

    def _sign(self, signed: Signed) -> bytes:
        metadata: Metadata[Any] = Metadata(signed)
        metadata.sign(self._signer(signed.type))
        return metadata.to_bytes()

    def _key_path(self, role: str) -> Path:
        if self._keys is None:
            raise ReleaseToolError("--keys is missing: this changes the repository")
        return self._keys / f"{role}.pem"

    def _make_key(self, role: str) -> CryptoSigner:
        path = self._key_path(role)
        if not path.exists():
            if not path.parent.exists():
                make_folder(path.parent)
                path.parent.chmod(0o700)
            write_atomically(path, CryptoSigner.generate_ed25519().private_bytes, mode=0o600)
        return self._signer(role)

    def _signer(self, role: str) -> CryptoSigner:
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415  # readers of a repository need no keys
            load_pem_private_key,
        )

        path = self._key_path(role)
        try:
            if path.stat().st_mode & 0o077:
                raise ReleaseToolError(f"{path}: others can read this key; chmod 600 it")
            return CryptoSigner(load_pem_private_key(path.read_bytes(), password=None))
        except FileNotFoundError as error:
            raise ReleaseToolError(f"{path}: no such key") from error
        except (ValueError, TypeError) as error:  # not PEM; or encrypted, which is not supported
            raise ReleaseToolError(f"{path}: not a PEM key without password") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self.folder.is_dir():
            raise ReleaseToolError(f"{self.folder}: no such folder (run init first?)")
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor, self.folder)
            yield
            fsync_path(self.folder)
        finally:
            os.close(descriptor)  # also unlocks


def _lock(descriptor: int, folder: Path) -> None:
    end = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise ReleaseToolError(f"{folder}: another command is changing it") from error
            time.sleep(0.1)  # flock cannot wait with a deadline
        else:
            return


def _expiry(role: str) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + LIFETIME[role]


def _target_file(added: AddedTarget, installer: str) -> TargetFile:
    custom = {"version": added.version, "product": added.product, "installer": installer}
    return TargetFile(added.size, {"sha256": added.sha256}, added.target, {"custom": custom})
