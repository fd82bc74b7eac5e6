"""A backup: one tar file with a cloud's store and the files beside it, made while it runs, and its way back.

It holds what cannot be made again: the store, the CA that devices trust, the update repository and its keys,
lists of titles. It is as secret as the data folder. What is restored takes the place of what was there, which
is kept beside it. What was erased and taken back since is done once more before it is in that place.
"""

from __future__ import annotations

import errno
import hashlib
import io
import itertools
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
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from base.files import fsync_path, fsync_tree, write_atomically
from staging import taken_back
from staging.data_dir import SECRET_MODE, DataDir, locked
from staging.errors import StagingError, StoreFullError
from staging.store import Database, copies, engine, mark, place, room, taken_again
from staging.store.place import log_of
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
    name = secrets.token_hex(8)
    TakenBack(data).mark(name)
    with (
        _told_of_room(file, file.parent),
        tempfile.TemporaryDirectory(prefix=BEGUN, dir=file.parent) as folder,
        locked(Path(folder), "another process removes it", timeout=0),
    ):
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
    fsync_path(file.parent)
    return made


def _check_target(data: DataDir, where: Path | str, file: Path) -> None:
    """Refuse a place where a backup would take that of the store, or of what it is to save."""
    store = engine.file_of(where)
    own = [] if store is None else [store, *(log_of(store, end) for end in BESIDE)]
    kept = [data.root / name for name in KEPT]
    if any(file == each.resolve() or each.resolve() in file.parents for each in (*own, *kept)):
        raise StagingError(f"{file}: is part of the cloud; name a file of its own for the backup")
    if not file.parent.is_dir():
        raise StagingError(f"{file}: {file.parent} is no folder: make it first, or name another")
    if file.exists() and not file.is_file():
        raise StagingError(f"{file}: is no file; name a file for the backup, which is made")
    if file.is_file() and file.stat().st_size:
        try:
            with _archive(file) as archive:
                _about(archive, file)
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
def _told_of_room(shown: Path, folder: Path) -> Iterator[None]:
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


def _keys(data: DataDir) -> VoiceKeys:
    return VoiceKeys(data.root / FILE_NAME)


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
) -> tuple[Summary, tuple[Path, ...]]:
    """Put a backup in the place of a cloud that does not run.

    A restoring that was broken off is ended by the same call.

    Returns:
        What the backup holds, and the folders with what was there: one, two where the store is behind another mount.

    Raises:
        StagingError: a server runs, the backup is not whole, what was taken back since is not known, or PostgreSQL
            has rows that may not be deleted.
        OSError: the disk has no room, or the file cannot be read.
    """
    data.create()
    if not file.is_file():
        found = "is no file" if file.exists() else "is not there"
        raise StagingError(f"{file}: {found}; name a file that `story-cloud backup` made")
    with (
        locked(
            data.root / ".serve.lock", "a story-cloud serve runs on it: stop it first", timeout=0
        ),
        _working(data.unpacked) as work,
    ):
        with _told_of_room(data.root, data.root):
            made = _unpack(file, work)
            made = replace(made, taken_back=_take_back_again(data, file, work / STORE, wanted))
        return made, _put(data, work, where, file, made.files, wanted)


@contextmanager
def _working(work: Path) -> Iterator[Path]:
    """Give a folder to work in; nothing of it is left, but by a kill, after which the next one removes it."""
    shutil.rmtree(work, ignore_errors=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _put(
    data: DataDir, work: Path, where: Path | str, file: Path, names: tuple[str, ...], wanted: Wanted
) -> tuple[Path, ...]:
    """Put what was unpacked in its place; return the folders with what was there.

    What needs room is done first. From the first change to the last a note tells every start that they do not belong together.
    """
    path = engine.file_of(where)
    if path is None:
        _put_rows(data, work, where, file, wanted)
        return _exchange(data, None, work, names, wanted.label)
    path = Path(os.path.realpath(path))
    with _told_of_room(path, path.parent):
        ready = copies.make_ready(work / STORE, path)
    try:
        _note(data, where, file)
    except BaseException:
        ready.unlink()
        raise
    return _exchange(data, (ready, path), work, names, wanted.label)


def _note(data: DataDir, where: Path | str, file: Path) -> None:
    """Note that from now on the parts of a folder are not of one time: the backup, and the store."""
    told = f"{file.absolute()}\n{engine.shown(engine.locate(where))}\n"
    with _told_of_room(data.root, data.root):
        write_atomically(data.restoring, told.encode("utf-8", "surrogateescape"), mode=SECRET_MODE)


def _put_rows(data: DataDir, work: Path, where: Path | str, file: Path, wanted: Wanted) -> None:
    """Put a store into a PostgreSQL; where that refuses, nothing is changed.

    Rows that a restoring that was broken off has put there are replaced without ``--replace``.
    """
    noted = data.restoring.read_text("utf-8", "replace") if data.restoring.exists() else ""
    may_replace = wanted.replace or engine.shown(engine.locate(where)) in noted.splitlines()[1:]
    with closing(_keys(data)) as keys:
        copies.copy_in(
            work / STORE, where, keys, replace=may_replace,
            before_commit=lambda: _note(data, where, file),
        )  # fmt: skip


def _exchange(
    data: DataDir, store: tuple[Path, Path] | None, work: Path, names: tuple[str, ...], label: str
) -> tuple[Path, ...]:
    """Put aside what is there and what was unpacked in its place, the ``store`` from one path to the other; end the note.

    A disk that fails in between is a StagingError; the same command goes on.
    """
    try:
        aside = _put_aside(data, None if store is None else store[1], names, label)
        for name in names:
            (work / PREFIX / name).rename(data.root / name)
        if store is not None:
            store[0].replace(store[1])
            fsync_path(store[1].parent)
        fsync_path(data.root)
        data.restoring.unlink()
        fsync_path(data.root)
    except OSError as error:
        raise StagingError(
            f"{data.root}: the restoring was broken off ({error.strerror}): mend that and repeat it; what was there is in "
            "replaced-*"
        ) from error
    return aside


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
) -> tuple[Path, ...]:
    """Move what is to be replaced into a folder of its own; the store goes first, so that none can start.

    A store on another disk is put aside there: a move between two is a copy, for which there may be no room.
    """
    beside = [] if store is None else [log_of(store, end) for end in BESIDE]
    old = [*([store] if store else []), *beside, *(data.root / name for name in names)]
    asides: dict[Path, Path] = {}
    for path in old:
        if not (path.exists() or path.is_symlink()):
            continue
        near = data.root if _are_together(path.parent, data.root) else path.parent
        if near not in asides:
            asides[near] = _new_folder(near, f"replaced-{label}")
        path.rename(asides[near] / path.name)
    for folder in asides.values():
        fsync_path(folder)
    return tuple(asides.values())


def _are_together(one: Path, other: Path) -> bool:
    """Return whether a file can be renamed from one folder to the other: not between two mounts, be they of one disk."""
    try:
        (one / ".no such file").rename(other / ".no such file")
    except OSError as error:
        return error.errno != errno.EXDEV  # which the system looks at before the file
    return True


def _new_folder(parent: Path, name: str) -> Path:
    """Make a folder that is not there yet, with a number behind its name if that one is."""
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            break
    return folder


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
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the system; without a number it is of the program that packed it
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
