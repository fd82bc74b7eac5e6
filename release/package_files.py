"""Describes, copies and verifies the packages in a repository's ``targets`` folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tuf.api.exceptions import RepositoryError

from base.files import Replacement, make_folder, write_atomically
from ota.trust.target import map_file_name, target_file_names, target_path
from ota.trust.terms import MapFile, parse_terms
from release.errors import ReleaseToolError
from release.tuf_types import TargetFile
from wire.errors import WireError

COPY_SIZE = 2**20


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


def describe(file: Path, product: str, version: str) -> AddedTarget:
    """Return the size, hashes and paths that a package has in a repository.

    Raises:
        ReleaseToolError: the file is empty.
        OSError: it cannot be read.
    """
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with file.open("rb") as source:
        while chunk := source.read(COPY_SIZE):
            sha256.update(chunk)
            md5.update(chunk)  # for the order's "signature"; trust rests on SHA-256
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


def copy_package(repository: Path, file: Path, added: AddedTarget) -> None:
    """Copy a package into the repository atomically; raises ReleaseToolError, OSError."""
    path = repository / added.path
    make_folder(path.parent)
    digest = hashlib.sha256()
    with Replacement(path) as target, file.open("rb") as source:
        while chunk := source.read(COPY_SIZE):
            digest.update(chunk)
            target.write(chunk)
        if digest.hexdigest() != added.sha256:
            raise ReleaseToolError(f"{file}: changed while it was being added")


def write_map(repository: Path, data: bytes, added: AddedTarget) -> MapFile:
    """Write a bundle's map next to the bundle; return its signed description; raises OSError."""
    signed = MapFile(len(data), hashlib.sha256(data).hexdigest(), added.md5)
    name = map_file_name(added.version, signed.sha256)
    write_atomically((repository / added.path).with_name(name), data)
    return signed


def verify_package(repository: Path, path: str, target: TargetFile) -> None:
    """Verify a package and its map against the signed metadata; raises ReleaseToolError."""
    version = str((target.custom or {}).get("version"))
    folder = repository / "targets" / path.partition("/")[0]
    name = target_file_names(version, target.hashes.get("sha256", ""))[0]
    try:
        with (folder / name).open("rb") as file:
            target.verify_length_and_hashes(file)
        signed = parse_terms(target.custom).map
        found = signed and (folder / map_file_name(version, signed.sha256)).read_bytes()
        if signed and not signed.fits(found or b""):
            raise ReleaseToolError(f"{path}: its map has other bytes than signed")
    except (RepositoryError, WireError, OSError) as error:
        raise ReleaseToolError(f"{path}: {error}") from error
