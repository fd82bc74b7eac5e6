"""A backup: one tar file with a cloud's store and the files beside it, made while it runs.

It holds what cannot be made again: the store, the CA that devices trust, the update repository and its keys,
lists of titles. It is as secret as the data folder: its voice is not sealed. `staging.restoring` is its way back.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import lzma
import os
import secrets
import shutil
import sqlite3
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from base.files import fsync_path
from staging.data_dir import SECRET_MODE, DataDir, locked
from staging.errors import StagingError, StoreFullError
from staging.store import copies, engine, mark, place, room
from staging.store.key_file import FILE_NAME
from staging.store.place import log_of
from staging.store.voice_keys import VoiceKeys
from staging.taken_back import TakenBack
from staging.times import iso

FORMAT = 1
# The last member has the checksums of the files; backups of before have none.
ABOUT, STORE, SUMS = "backup.json", "store.sqlite", "sums.json"
SUMS_LIMIT = 64 * 2**20
# Folders and files of a data folder that are in a backup. The others are logs, caches, locks, and what
# belongs to a running process.
KEPT = ("ca", "tuf", "tuf-keys", "apt-keys", "catalogues", "endpoints.json")
PREFIX = "files"
ABOUT_LIMIT = 64 * 1024
# What is made beside a backup until it is whole; a killed one leaves it, and the next one removes it.
BEGUN = ".story-cloud-backup-"
# What lies beside a store's file and belongs to it.
BESIDE = (*place.BESIDE, mark.END)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup holds."""

    time: str
    schema: str
    size: int
    """Bytes of the store."""
    files: tuple[str, ...]
    taken_back: int = 0
    """How much of what was taken back since was taken back once more in what was restored."""

    def to_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "time": self.time,
            "schema": self.schema,
            "storeBytes": self.size,
            "files": list(self.files),
        }


def make(data: DataDir, where: Path | str, file: Path, now: int) -> Summary:
    """Write a backup of a cloud, which may run, to ``file``; an older one there is replaced by a whole one.

    Raises:
        StagingError: the store is damaged or cannot be used, or ``file`` is something else than a backup, or its disk
            has no room. What was there is there still.
        OSError: the file cannot be written.
    """
    file = Path(os.path.realpath(file))
    _check_target(data, where, file)
    _sweep(file.parent)
    name: str | None = secrets.token_hex(8)
    try:
        TakenBack(data).mark(str(name))
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        name = None  # the time stands for a mark, as nothing is taken back on a read-only disk meanwhile
    with (
        told_of_room(file, file.parent),
        tempfile.TemporaryDirectory(prefix=BEGUN, dir=file.parent) as folder,
        locked(Path(folder), "another process removes it", timeout=0),
    ):
        copy = Path(folder) / STORE
        with closing(VoiceKeys(data.root / FILE_NAME)) as keys:
            copies.copy_out(where, copy, keys)
        kept = tuple(name for name in KEPT if (data.root / name).exists())
        made = Summary(iso(now), copies.check(copy), copy.stat().st_size, kept)
        about = {
            "format": FORMAT, "sha256": sha256_of(copy), "id": name, "sums": SUMS, **made.to_json()
        }  # fmt: skip
        whole = Path(folder) / "backup.tar"
        with whole.open("xb") as target:
            whole.chmod(SECRET_MODE)
            # A release that is being signed has files that do not belong together yet.
            with locked(data.root / ".tuf.lock", "another process is changing the update repository"):  # fmt: skip
                _write(target, about, copy, [(each, data.root / each) for each in kept])
            target.flush()
            os.fsync(target.fileno())
        whole.replace(file)
    fsync_path(file.parent)
    return made


def _check_target(data: DataDir, where: Path | str, file: Path) -> None:
    """Refuse a place where a backup would take that of the store, or of what it is to save."""
    store = engine.file_of(where)
    own = [] if store is None else [store, *(log_of(store, end) for end in BESIDE)]
    kept = [data.root / name for name in KEPT]
    taken = {Path(os.path.realpath(each)) for each in (*own, *kept)}
    if taken & {file, *file.parents}:
        raise StagingError(f"{file}: is part of the cloud; name a file of its own for the backup")
    if not file.parent.is_dir():
        raise StagingError(f"{file}: {file.parent} is no folder: make it first, or name another")
    if file.exists() and not file.is_file():
        raise StagingError(f"{file}: is no file; name a file for the backup, which is made")
    if file.is_file() and file.stat().st_size:
        try:
            with opened(file) as archive:
                about_of(archive, file)
        except StagingError as error:
            raise StagingError(f"{error}; it is not replaced: remove it or name another") from error


def _sweep(folder: Path) -> None:
    """Remove what backups left that were killed: the store's rows are in it."""
    for left in folder.glob(f"{BEGUN}*"):
        # Of one that is being made the lock is held. What is no folder is somebody else's.
        if left.is_dir() and not left.is_symlink():
            with suppress(StagingError, OSError), locked(left, "", timeout=0):
                shutil.rmtree(left)


@contextmanager
def told_of_room(shown: Path, folder: Path) -> Iterator[None]:
    """Say that the disk of ``folder`` has no room, and what it has: neither the system nor SQLite does."""
    try:
        yield
    except (OSError, StagingError) as error:
        cause = error.__cause__ if isinstance(error, StagingError) else error
        if not (isinstance(error, StoreFullError) or _is_full(cause)):
            raise
        raise StagingError(
            f"{shown}: its disk is full ({room.left(folder)}): nothing was changed; free space there, or "
            "name a place on another disk"
        ) from error


def _is_full(error: BaseException | None) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_WRITE


def _write(target: Any, about: dict[str, Any], copy: Path, kept: list[tuple[str, Path]]) -> None:
    sums: dict[str, str] = {}
    with tarfile.open(fileobj=target, mode="w") as archive:
        _add_json(archive, ABOUT, about)
        archive.add(copy, STORE)
        for name, path in kept:
            for each in (path, *sorted(path.rglob("*"))):
                _add(archive, each, str(Path(PREFIX, name, each.relative_to(path))), sums)
        _add_json(archive, SUMS, sums)


def _add_json(archive: tarfile.TarFile, name: str, value: object) -> None:
    text = json.dumps(value, ensure_ascii=False).encode()
    head = tarfile.TarInfo(name)
    head.size, head.mode, head.mtime = len(text), SECRET_MODE, int(time.time())
    archive.addfile(head, io.BytesIO(text))


def _add(archive: tarfile.TarFile, path: Path, name: str, sums: dict[str, str]) -> None:
    """Add a file, a folder or a link; of a file its checksum too. One that has just gone is left out."""
    try:
        head = archive.gettarinfo(path, name)
        if head is None or not (head.isreg() or head.islnk()):
            # A program's socket, such as gpg's, is nothing that a backup has.
            if head is not None and (head.isdir() or head.issym()):
                archive.addfile(head)
            return
        with path.open("rb") as file:
            head.type, head.linkname = tarfile.REGTYPE, ""
            head.size = os.fstat(file.fileno()).st_size
            hashed = _Hashed(file)
            archive.addfile(head, hashed)
    except FileNotFoundError:
        return
    sums[name] = hashed.sha256.hexdigest()


class _Hashed(io.RawIOBase):
    """A file whose bytes are hashed as they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        return data


@contextmanager
def opened(file: Path) -> Iterator[tarfile.TarFile]:
    """Open a backup to read; raises StagingError if it is none, or not whole."""
    try:
        with tarfile.open(file) as archive:
            yield archive
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the system; without a number it is of the program that packed it
        raise StagingError(f"{file}: no backup of story-cloud, or not whole: {error}") from error


def about_of(archive: tarfile.TarFile, file: Path) -> dict[str, Any]:
    """Return what a backup's first member tells of it; raises StagingError."""
    first = archive.next()
    content = archive.extractfile(first) if first is not None and first.name == ABOUT else None
    if content is None:
        raise StagingError(f"{file}: no backup of story-cloud")
    try:
        about = json.loads(content.read(ABOUT_LIMIT))
    except ValueError as error:
        raise StagingError(f"{file}: no backup of story-cloud: {ABOUT}: {error}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise StagingError(
            f"{file}: {ABOUT}: format: got {about.get('format')!r}, expected {FORMAT}"
        )
    return about


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
