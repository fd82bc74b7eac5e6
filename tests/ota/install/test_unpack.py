"""Packages with a hand-made tar: endless headers, invalid numbers, impossible names."""

from __future__ import annotations

import dataclasses
import gzip
import os
import tarfile
from pathlib import Path

import pytest

from ota.errors import ContentError
from ota.install.unpack import _Unpacker
from tests.ota.install.package_rig import (
    INFO,
    file,
    install,
    pack,
    tree,
)
from wire.ota import OtaEvent

BLOCK = tarfile.BLOCKSIZE


def blocks(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % BLOCK)


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.USTAR_FORMAT)


def pax(**fields: str) -> bytes:
    """Render one PAX header; "_" in a name stands for a dot."""
    body = b""
    for name, value in fields.items():
        record = f" {name.replace('_', '.')}={value}\n".encode()
        size = len(record)
        while len(str(size)) + len(record) != size:
            size = len(str(size)) + len(record)
        body += str(size).encode() + record
    return header("x", tarfile.XHDTYPE, len(body)) + blocks(body)


def long_name(name: str) -> bytes:
    data = name.encode() + b"\0"
    return header("././@LongLink", tarfile.GNUTYPE_LONGNAME, len(data)) + blocks(data)


A = header("lib/a")


SPARSE_1 = {"GNU_sparse_major": "1", "GNU_sparse_minor": "0", "GNU_sparse_name": "lib/s"}


ABUSES: dict[str, tuple[bytes, str]] = {
    "a chain of PAX headers": (pax(comment="x") * 2000 + A, "headers of more than 65536 bytes"),
    "a chain of long names": (long_name("lib/b") * 2000 + A, "headers of more than 65536 bytes"),
    "a PAX header that fills the memory": (
        pax(comment="x" * 100_000) + A,
        "headers of more than 65536 bytes",
    ),
    "a sparse map without end": (
        pax(**SPARSE_1) + header("lib/s", size=10) + b"1000000000\n" + b"1\n" * 50_000,
        "headers of more than 65536 bytes",
    ),
    "a sparse map that is none": (
        pax(**SPARSE_1) + header("lib/s", size=10) + blocks(b"zz\n"),
        "broken package: invalid literal",
    ),
    "a sparse map in words": (
        pax(GNU_sparse_map="1,a", GNU_sparse_name="lib/s") + header("lib/s"),
        "broken package: invalid literal",
    ),
    "a size below 0": (pax(size="-5000") + A, "a size below 0"),
    "a name part too long for a disk": (
        long_name("lib/" + "n" * 300) + A,
        "a name that is too long",
    ),
    "a name part too long in bytes": (long_name("lib/" + "节" * 90) + A, "a name that is too long"),
    "folders deeper than can be walked": (
        long_name("lib/" + "a/" * 2000 + "f") + A,
        "a name that is too long",
    ),
    "a folder of a file's name": (A + header("lib/a", tarfile.DIRTYPE), "taken already"),
    "a folder below a file": (A + header("lib/a/b", tarfile.DIRTYPE), "taken already"),
}


def packed(path: Path, members: bytes) -> Path:
    info = dataclasses.replace(INFO, unpacked_bytes=10**6).to_bytes()
    first = header("release.json", size=len(info)) + blocks(info)
    path.write_bytes(gzip.compress(first + members + b"\0" * 2 * BLOCK, 1))
    return path


@pytest.mark.parametrize("abuse", ABUSES, ids=str)
def test_an_abuse_of_the_format_is_the_packages_fault(tmp_path: Path, abuse: str) -> None:
    members, reason = ABUSES[abuse]
    with pytest.raises(ContentError, match=reason) as caught:
        install(tmp_path / "state", packed(tmp_path / "p", members))
    assert caught.value.event is OtaEvent.UNPACK_FAIL
    assert tree(tmp_path / "state") == {"slots", "slots/releases"}


def test_more_than_was_announced_does_not_reach_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The free space was checked only for the announced size."""
    written: list[str] = []
    monkeypatch.setattr(
        _Unpacker, "_copy", lambda _self, source, _file: written.append(source.name)
    )
    info = dataclasses.replace(INFO, unpacked_bytes=10).to_bytes()
    package = pack(
        tmp_path / "p", file("lib/a", b"x" * 10), file("lib/b", os.urandom(5)), info=info
    )
    with pytest.raises(ContentError, match=r"holds 15 bytes, release\.json says 10"):
        install(tmp_path / "state", package)
    assert len(written) == 1
