"""A backup: one tar file with a cloud's store and the files beside it, made while it runs, and its way back.

It holds what cannot be made again: the store, the CA that devices trust, the update repository and its keys,
lists of titles. It is as secret as the data folder. What is restored takes the place of what was there, which
is kept beside it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from base.files import fsync_path, fsync_tree
from staging.data_dir import SECRET_MODE, DataDir, locked
from staging.errors import StagingError
from staging.store import copies, engine
from staging.times import iso

FORMAT = 1
ABOUT, STORE = "backup.json", "store.sqlite"
# Folders and files of a data folder that are in a backup. The others are logs, caches, locks, and what
# belongs to a running process.
KEPT = ("ca", "tuf", "tuf-keys", "apt-keys", "catalogues", "endpoints.json")
PREFIX = "files"
WORK = ".restoring"
ABOUT_LIMIT = 64 * 1024
# What SQLite keeps beside its file.
LOGS = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup holds."""

    time: str
    schema: str
    size: int
    """Bytes of the store."""
    files: tuple[str, ...]

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
        StagingError: the store is damaged or cannot be used, or ``file`` is something else than a backup.
        OSError: the file cannot be written.
    """
    _check_target(data, where, file)
    with tempfile.TemporaryDirectory(prefix=".backup.", dir=file.absolute().parent) as folder:
        copy = Path(folder) / STORE
        copies.copy_out(where, copy)
        kept = tuple(name for name in KEPT if (data.root / name).exists())
        made = Summary(iso(now), copies.check(copy), copy.stat().st_size, kept)
        about = {"format": FORMAT, "sha256": _sha256(copy), **made.to_json()}
        whole = Path(folder) / "backup.tar"
        with whole.open("xb") as target:
            whole.chmod(SECRET_MODE)
            _write(target, about, copy, [(name, data.root / name) for name in kept])
            target.flush()
            os.fsync(target.fileno())
        whole.replace(file)
    fsync_path(file.absolute().parent)
    return made


def _check_target(data: DataDir, where: Path | str, file: Path) -> None:
    """Refuse a place where a backup would take that of the store, or of what it is to save."""
    store, place = engine.file_of(where), file.resolve()
    own = [] if store is None else [store, *(_log(store, end) for end in LOGS)]
    kept = [data.root / name for name in KEPT]
    if any(place == each.resolve() or each.resolve() in place.parents for each in (*own, *kept)):
        raise StagingError(f"{file}: is part of the cloud; name a file of its own for the backup")
    if file.is_file() and file.stat().st_size:
        try:
            with _archive(file) as archive:
                _about(archive, file)
        except StagingError as error:
            raise StagingError(f"{error}; it is not replaced: remove it or name another") from error


def _log(store: Path, end: str) -> Path:
    return store.with_name(store.name + end)


def _write(target: Any, about: dict[str, Any], copy: Path, kept: list[tuple[str, Path]]) -> None:
    with tarfile.open(fileobj=target, mode="w") as archive:
        text = json.dumps(about, ensure_ascii=False).encode()
        head = tarfile.TarInfo(ABOUT)
        head.size, head.mode, head.mtime = len(text), SECRET_MODE, int(time.time())
        archive.addfile(head, io.BytesIO(text))
        archive.add(copy, STORE)
        for name, path in kept:
            archive.add(path, f"{PREFIX}/{name}")


def restore(
    data: DataDir, where: Path | str, file: Path, *, replace: bool, label: str
) -> tuple[Summary, Path | None]:
    """Put a backup in the place of a cloud that does not run.

    A restoring that was broken off is ended by the same call. ``label`` names the folder for what was there.

    Returns:
        What the backup holds, and the folder with what was there, None if nothing was.

    Raises:
        StagingError: a server runs, the backup is not whole, or PostgreSQL has rows and ``replace`` is not set.
        OSError: the disk has no room, or the file cannot be read.
    """
    data.create()
    with locked(
        data.root / ".serve.lock", "a story-cloud serve runs on it: stop it first", timeout=0
    ):
        work = data.root / WORK
        shutil.rmtree(work, ignore_errors=True)
        made = _unpack(file, work)
        path = engine.file_of(where)
        if path is None:
            copies.copy_in(work / STORE, where, replace=replace)
        aside = _put_aside(data, path, made.files, label)
        for name in made.files:
            (work / PREFIX / name).rename(data.root / name)
        if path is not None:
            copies.copy_in(work / STORE, where, replace=replace)
        shutil.rmtree(work)
        fsync_path(data.root)
    return made, aside


def _put_aside(
    data: DataDir, store: Path | None, names: tuple[str, ...], label: str
) -> Path | None:
    """Move what is to be replaced into a folder of its own; the store goes first, so that none can start."""
    logs = [] if store is None else [_log(store, end) for end in LOGS]
    old = [*([store] if store else []), *logs, *(data.root / name for name in names)]
    there = [path for path in old if path.exists()]
    if not there:
        return None
    aside = data.root / f"replaced-{label}"
    aside.mkdir(mode=0o700, exist_ok=True)
    for path in there:
        shutil.move(path, aside / path.name)
    return aside


def _unpack(file: Path, work: Path) -> Summary:
    work.mkdir(mode=0o700)
    with _archive(file) as archive:
        about = _about(archive, file)
        for member in archive:
            _check_name(member, file)
            archive.extract(member, work, filter="data")
    copy = work / STORE
    if not copy.exists() or _sha256(copy) != about.get("sha256"):
        raise StagingError(f"{file}: not whole: its store is not the one that was saved")
    schema = copies.check(copy)
    files = (
        tuple(path.name for path in sorted((work / PREFIX).glob("*")))
        if (work / PREFIX).exists()
        else ()
    )
    for path in work.rglob("*"):
        path.chmod(0o700 if path.is_dir() else path.stat().st_mode & 0o644)
    fsync_tree(work)
    return Summary(str(about.get("time")), schema, copy.stat().st_size, files)


@contextmanager
def _archive(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file) as archive:
            yield archive
    except (tarfile.TarError, EOFError) as error:
        raise StagingError(f"{file}: no backup of story-cloud, or not whole: {error}") from error


def _about(archive: tarfile.TarFile, file: Path) -> dict[str, Any]:
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


def _check_name(member: tarfile.TarInfo, file: Path) -> None:
    parts = PurePosixPath(member.name).parts
    allowed = parts[:1] in {(ABOUT,), (STORE,)} or (
        parts[:1] == (PREFIX,) and (len(parts) == 1 or parts[1] in KEPT)
    )
    if not allowed or ".." in parts or not (member.isfile() or member.isdir() or member.issym()):
        raise StagingError(f"{file}: {member.name!r}: no part of a backup of story-cloud")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
