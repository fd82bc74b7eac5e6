"""A backup: one tar file with a cloud's store and the files beside it, made while it runs, and its way back.

It holds what cannot be made again: the store, the CA that devices trust, the update repository and its keys,
lists of titles. It is as secret as the data folder. What is restored takes the place of what was there, which
is kept beside it. What was erased and taken back since is done once more before it is in that place.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from base.files import fsync_path, fsync_tree
from staging import taken_back
from staging.data_dir import SECRET_MODE, DataDir, locked
from staging.errors import StagingError
from staging.store import Database, copies, engine, taken_again
from staging.store.voice_keys import FILE_NAME, VoiceKeys
from staging.taken_back import TakenBack
from staging.times import iso, now_ms

FORMAT = 1
# The last member has the checksums of the files; backups of before have none.
ABOUT, STORE, SUMS = "backup.json", "store.sqlite", "sums.json"
SUMS_LIMIT = 64 * 2**20
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
        StagingError: the store is damaged or cannot be used, or ``file`` is something else than a backup.
        OSError: the file cannot be written.
    """
    _check_target(data, where, file)
    name = secrets.token_hex(8)
    TakenBack(data).mark(name)
    with tempfile.TemporaryDirectory(prefix=".backup.", dir=file.absolute().parent) as folder:
        copy = Path(folder) / STORE
        with closing(_keys(data)) as keys:
            copies.copy_out(where, copy, keys)
        kept = tuple(name for name in KEPT if (data.root / name).exists())
        made = Summary(iso(now), copies.check(copy), copy.stat().st_size, kept)
        about = {
            "format": FORMAT, "sha256": _sha256(copy), "id": name, "sums": SUMS, **made.to_json()
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


def _keys(data: DataDir) -> VoiceKeys:
    return VoiceKeys(data.root / FILE_NAME)


def _log(store: Path, end: str) -> Path:
    return store.with_name(store.name + end)


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a backup is restored.

    Attributes:
        replace: whether the rows of a PostgreSQL may be deleted.
        label: of the folder for what was there.
        journal: of what was taken back (`staging.taken_back`); None: the data folder's.
        forgets: whether what was taken back since may be there again, because nobody has the journal.
    """

    label: str
    replace: bool = False
    journal: Path | None = None
    forgets: bool = False


def restore(
    data: DataDir, where: Path | str, file: Path, wanted: Wanted
) -> tuple[Summary, Path | None]:
    """Put a backup in the place of a cloud that does not run.

    A restoring that was broken off is ended by the same call.

    Returns:
        What the backup holds, and the folder with what was there, None if nothing was.

    Raises:
        StagingError: a server runs, the backup is not whole, what was taken back since is not known, or PostgreSQL
            has rows that may not be deleted.
        OSError: the disk has no room, or the file cannot be read.
    """
    data.create()
    with locked(
        data.root / ".serve.lock", "a story-cloud serve runs on it: stop it first", timeout=0
    ):
        work = data.root / WORK
        shutil.rmtree(work, ignore_errors=True)
        made = _unpack(file, work)
        made = replace(made, taken_back=_take_back_again(data, file, work / STORE, wanted))
        path = engine.file_of(where)
        if path is None:
            _put_in(data, work, where, wanted)
        aside = _put_aside(data, path, made.files, wanted.label)
        for name in made.files:
            (work / PREFIX / name).rename(data.root / name)
        if path is not None:
            _put_in(data, work, where, wanted)
        shutil.rmtree(work)
        fsync_path(data.root)
    return made, aside


def _put_in(data: DataDir, work: Path, where: Path | str, wanted: Wanted) -> None:
    with closing(_keys(data)) as keys:
        copies.copy_in(work / STORE, where, keys, replace=wanted.replace)


def _take_back_again(data: DataDir, file: Path, copy: Path, wanted: Wanted) -> int:
    """Take back in a store's copy what was taken back since its backup; return how much of it that changed."""
    lines = _since(data, file, wanted)
    if not lines:
        return 0
    store = Database(copy)  # upgrades it
    try:
        count = store.call(taken_again.apply, lines, now_ms())
    finally:
        store.close()
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    return count


def _since(data: DataDir, file: Path, wanted: Wanted) -> Sequence[taken_back.Line]:
    """Return what was taken back since a backup; raises StagingError if nobody knows, and nobody said that it may be so."""
    with _archive(file) as archive:
        about = _about(archive, file)
    own = TakenBack(data)
    path = wanted.journal or own.path
    if wanted.journal is not None and not path.is_file():
        raise StagingError(f"--journal {path}: there is no such file")
    lines = taken_back.read(path) if path.exists() else []
    found = taken_back.since(lines, about.get("id"), str(about.get("time")))
    if found is None and not wanted.forgets:
        raise StagingError(
            f"{file}: what was erased and taken back since {about.get('time')} is not known here: name the "
            f"{taken_back.FILE_NAME} of the data folder that it is of, with --journal FILE; or, if that is lost, "
            "--without-journal: then erased voice is there again, and so is every right that was taken back"
        )
    if wanted.journal is not None and path.resolve() != own.path.resolve():
        own.append(lines)
    return found or []


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
    if "sums" in about:
        _check_sums(file, work)
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


def _check_sums(file: Path, work: Path) -> None:
    """Compare the files with the checksums that were saved with them; raises StagingError that names one."""
    try:
        sums = json.loads((work / SUMS).read_bytes()[:SUMS_LIMIT])
        wanted = dict(sums)
    except (OSError, ValueError, TypeError) as error:
        raise StagingError(f"{file}: not whole: its end is missing ({SUMS})") from error
    there = [path for path in sorted((work / PREFIX).rglob("*")) if path.is_file()]
    found = {str(path.relative_to(work)): _sha256(path) for path in there if not path.is_symlink()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise StagingError(f"{file}: not whole: {name} is not the one that was saved")


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
    allowed = parts in {(ABOUT,), (STORE,), (SUMS,)} or (
        parts[:1] == (PREFIX,) and (len(parts) == 1 or parts[1] in KEPT)
    )
    if not allowed or ".." in parts or not (member.isfile() or member.isdir() or member.issym()):
        raise StagingError(f"{file}: {member.name!r}: no part of a backup of story-cloud")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
