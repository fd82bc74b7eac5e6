"""Adding a version: checked before a byte is read, signed once, and nothing left of a refused one."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from staging.data_dir import DataDir
from staging.errors import PackageTooLargeError, StagingError
from staging.releases import tool, uploads
from staging.releases.uploads import NewRelease
from staging.store import Database, products, releases
from staging.store.models import RELEASED, UNVERIFIED
from staging.store.releases import Target
from wire.errors import FieldError
from wire.ota import InstallerKind

Signed = list[tuple[str, bytes, str, str, str]]


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data").create()


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> Signed:
    """Stand in for story-release; holds what it was given: file, content, product, version, kind."""
    calls: Signed = []

    def sign(
        _: DataDir, file: Path, product: str, version: str, installer: str, _sbom_to: Path
    ) -> Target:
        calls.append((file.name, file.read_bytes(), product, version, installer))
        return Target(f"{product}/{version}.tar", file.stat().st_size, "0" * 32, "0" * 64)

    monkeypatch.setattr(tool, "ensure_repository", lambda _: None)
    monkeypatch.setattr(tool, "add", sign)
    return calls


@pytest.fixture
def new(database: Database) -> NewRelease:
    product = database.call(products.default_product, 0)
    return NewRelease(product, "1.1", "first", UNVERIFIED, InstallerKind.RAUC)


class Body:
    """The blocks of an upload, and how many of them were read."""

    def __init__(self, *blocks: bytes) -> None:
        self._blocks = blocks
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for block in self._blocks:
            self.read += 1
            yield block


async def test_what_arrives_in_blocks_is_signed_and_stored(
    database: Database, data: DataDir, signed: Signed, new: NewRelease
) -> None:
    blocks = Body(b"one", b"", b"x" * (3 << 20), b"end")
    package = await uploads.receive(database, data, new, blocks, 7)
    content = b"one" + b"x" * (3 << 20) + b"end"
    name = f"package-{new.product.id}-1.1.tar.gz"
    assert signed == [(name, content, "story-machine", "1.1", "rauc")]
    assert (package.status, package.size, package.create_time) == (UNVERIFIED, len(content), 7)
    assert database.call(releases.package_of, new.product.id, "1.1").id == package.id
    assert list(data.root.iterdir()) == []


async def test_a_file_is_added_from_where_it_is(
    database: Database, data: DataDir, signed: Signed, new: NewRelease, tmp_path: Path
) -> None:
    file = tmp_path / "mine.tar.gz"
    file.write_bytes(b"package")
    released = NewRelease(new.product, "1.2", "")
    package = await uploads.add(database, data, released, file, 0)
    assert signed == [("mine.tar.gz", b"package", "story-machine", "1.2", "slots")]
    assert package.status == RELEASED
    assert file.exists()


async def test_a_version_that_is_there_is_refused_before_anything_is_read(
    database: Database, data: DataDir, signed: Signed, new: NewRelease
) -> None:
    await uploads.receive(database, data, new, Body(b"package"), 0)
    again = Body(b"package")
    with pytest.raises(StagingError, match=r"version 1\.1: there is a package already"):
        await uploads.receive(database, data, new, again, 0)
    assert again.read == 0
    assert len(signed) == 1
    with pytest.raises(FieldError, match="version"):
        await uploads.receive(database, data, NewRelease(new.product, "x", ""), again, 0)
    assert again.read == 0


@pytest.mark.parametrize(("limit", "reserve"), [(4, 0), (2**31, 2**62)], ids=["limit", "full disk"])
async def test_a_package_without_room_leaves_nothing(
    database: Database,
    data: DataDir,
    signed: Signed,
    new: NewRelease,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    reserve: int,
) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_LIMIT", limit)
    monkeypatch.setattr(uploads, "DISK_RESERVE", reserve)
    body = Body(b"five!", b"more")
    with pytest.raises(PackageTooLargeError, match="package: expected at most"):
        await uploads.receive(database, data, new, body, 0)
    assert body.read == 1
    assert list(data.root.iterdir()) == []
    assert signed == []


class Claimed(bytes):
    """A block that counts as two GiB."""

    def __len__(self) -> int:
        return 2 * 2**30


async def test_a_package_of_two_gib_is_taken_and_a_byte_more_is_not(
    database: Database,
    data: DataDir,
    signed: Signed,
    new: NewRelease,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=2**50))
    with pytest.raises(PackageTooLargeError, match="package: expected at most 2147483648 bytes"):
        await uploads.receive(database, data, new, Body(Claimed(b"x"), b"y"), 0)
    assert signed == []
    await uploads.receive(database, data, new, Body(Claimed(b"x")), 0)
    assert len(signed) == 1


async def test_an_empty_package_and_a_failed_signature_leave_nothing(
    database: Database,
    data: DataDir,
    signed: Signed,
    new: NewRelease,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(FieldError, match="package"):
        await uploads.receive(database, data, new, Body(), 0)
    assert signed == []

    def fail(*_: object) -> Target:
        raise StagingError("story-release add: no key")

    monkeypatch.setattr(tool, "add", fail)
    with pytest.raises(StagingError, match="no key"):
        await uploads.receive(database, data, new, Body(b"package"), 0)
    assert list(data.root.iterdir()) == []
    assert database.call(releases.packages) == []


async def test_the_package_stays_with_the_signer_when_its_upload_is_broken_off(
    database: Database, data: DataDir, new: NewRelease, signed: Signed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    begun, go, sign = threading.Event(), threading.Event(), tool.add

    def slow(*given: Any) -> Target:
        begun.set()
        assert go.wait(60)
        return sign(*given)

    monkeypatch.setattr(tool, "add", slow)
    receiving = asyncio.create_task(uploads.receive(database, data, new, Body(b"package"), 0))
    assert await asyncio.to_thread(begun.wait, 60)
    receiving.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not receiving.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert [content for _, content, *_ in signed] == [b"package"]
    assert not list(data.root.glob(".upload.*"))
