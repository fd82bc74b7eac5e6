"""The slot package: its description, and what reading it costs."""

from __future__ import annotations

import dataclasses
import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ota.errors import ContentError
from ota.install.package import check_runtime, open_package
from tests.ota.install.package_rig import INFO, file, install, pack


def test_a_bomb_in_a_header_does_not_reach_the_memory(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        member, data = file("release.json", INFO.to_bytes())
        tar.addfile(member, io.BytesIO(data))
    header = tarfile.TarInfo("bomb")
    header.type, header.size = tarfile.XHDTYPE, 100 * 2**20
    bomb = header.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "p").write_bytes(gzip.compress(raw.getvalue()[: 512 + 512] + bomb))
    with pytest.raises(ContentError, match="a header of 104857600 bytes"):
        install(tmp_path / "state", tmp_path / "p")


@pytest.mark.parametrize(
    ("have", "fits"), [("2.0", True), ("2.0.0", True), ("2.1", True), ("3", True), ("1.9", False)]
)
def test_a_newer_dependency_passes_an_older_one_does_not(have: str, *, fits: bool) -> None:
    info = dataclasses.replace(INFO, requires=("tuf==2.0",))
    if fits:
        check_runtime(info, lambda _name: have)
    else:
        with pytest.raises(ContentError, match=r"this machine has 1\.9"):
            check_runtime(info, lambda _name: have)


@pytest.mark.parametrize(
    "damage",
    [lambda _data: b"", lambda _data: b"no gzip", lambda data: data[:-20], lambda data: data[:60]],
)
def test_a_broken_archive(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    package = pack(tmp_path / "p", file("lib/a", bytes(range(256)) * 100))
    package.write_bytes(damage(package.read_bytes()))
    with pytest.raises(ContentError, match="broken package"):
        install(tmp_path / "state", package)


def test_the_members_that_were_read_are_not_kept(tmp_path: Path) -> None:
    members = [file(f"lib/{number}", b"") for number in range(50)]
    package = pack(tmp_path / "p", *members)
    with package.open("rb") as source, open_package(source, 2**20) as tar:
        while tar.next() is not None:
            assert len(tar.members) <= 1  # type: ignore[attr-defined]
