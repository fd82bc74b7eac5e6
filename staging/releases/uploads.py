"""Adds a version: its number is checked, its package is signed, and its row is stored.

The console's upload and ``story-cloud release add`` both do it here. Signing is the work of
``story-release`` (`staging.releases.tool`).
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from pathlib import Path

from base.threads import in_thread
from staging.data_dir import DataDir
from staging.errors import PackageTooLargeError
from staging.releases import tool
from staging.releases.parts import PartsList, read_parts
from staging.store import Database, releases, sboms
from staging.store.models import RELEASED, Package, Product
from wire.errors import FieldError
from wire.ota import InstallerKind

# Larger than any of our images; the free disk space limits uploads as well.
UPLOAD_LIMIT = 2 * 2**30
# Bytes of the disk that uploads must leave free.
DISK_RESERVE = 256 * 2**20
_WRITE_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class NewRelease:
    """A version to add to a product; ``status``: RELEASED, or UNVERIFIED (`releases.add_package`)."""

    product: Product = field(repr=False)
    version: str
    description: str
    status: str = RELEASED
    installer: InstallerKind = InstallerKind.SLOTS


async def add(database: Database, data: DataDir, new: NewRelease, file: Path, now: int) -> Package:
    """Add a version whose package is ``file``; ``now`` in ms.

    Raises:
        FieldError: the version is not numbers joined by dots.
        StagingError: the product has this or a higher version, or signing failed.
    """
    await _check(database, new, now)
    return await _sign_and_store(database, data, new, file, now)


async def receive(
    database: Database, data: DataDir, new: NewRelease, blocks: AsyncIterable[bytes], now: int
) -> Package:
    """Add a version whose package arrives in blocks, of which none is read if `add` would refuse.

    Raises:
        FieldError: as for `add`, or the package is empty.
        PackageTooLargeError: the package is over UPLOAD_LIMIT, or the disk is too full for it.
        StagingError: as for `add`.
    """
    await _check(database, new, now)
    made = await asyncio.to_thread(tempfile.mkdtemp, prefix=".upload.", dir=data.root)
    folder = Path(made)
    try:
        # The repository names a package after its file.
        file = folder / f"package-{new.product.id}-{new.version}.tar.gz"
        await _write(file, blocks)
        return await _sign_and_store(database, data, new, file, now)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _check(database: Database, new: NewRelease, now: int) -> None:
    check = releases.check_new_version
    await database.read(check, new.version, now, product_id=new.product.id)


async def _sign_and_store(
    database: Database, data: DataDir, new: NewRelease, file: Path, now: int
) -> Package:
    # An upload that ends meanwhile does not take the package away from the signer: the same may be added again.
    target, parts = await in_thread(_sign, data, new, file)
    if parts is not None:
        await keep_parts(database, parts, now)
    return await database.write(
        releases.add_package,
        new.version,
        target,
        new.description,
        now,
        product_id=new.product.id,
        status=new.status,
    )


def _sign(data: DataDir, new: NewRelease, file: Path) -> tuple[releases.Target, PartsList | None]:
    tool.ensure_repository(data)
    with tempfile.TemporaryDirectory(prefix=".sbom.", dir=data.root) as folder:
        sbom = Path(folder) / "sbom"
        target = tool.add(data, file, new.product.name, new.version, new.installer, sbom)
        return target, None if target.sbom is None else read_parts(sbom.read_bytes())


async def keep_parts(database: Database, parts: PartsList, now: int) -> bool:
    """Keep a list of parts; return False if the store has it already."""
    return await database.write(
        sboms.add,
        parts.sha256,
        name=parts.name,
        version=parts.version,
        document=parts.document,
        parts=[(part.name, part.version, part.bundled) for part in parts.parts],
        now=now,
    )


async def _write(file: Path, blocks: AsyncIterable[bytes]) -> None:
    free = (await asyncio.to_thread(shutil.disk_usage, file.parent)).free - DISK_RESERVE
    limit = min(UPLOAD_LIMIT, free)
    size, held = 0, bytearray()
    with file.open("wb") as out:
        async for block in blocks:
            size += len(block)
            if size > limit:
                raise PackageTooLargeError(f"package: expected at most {limit} bytes")
            held += block
            if len(held) >= _WRITE_BLOCK:
                await asyncio.to_thread(out.write, bytes(held))
                held.clear()
        await asyncio.to_thread(out.write, bytes(held))
    if size == 0:
        raise FieldError("package", "", "a file that is not empty")
