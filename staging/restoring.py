"""The way back of a backup (`staging.backup`) into the place of a cloud that does not run.

What was there is kept beside it. What was erased and taken back since is done once more before it is in that place, and
voice is sealed (`staging.store.voice_keys`).
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from base.files import fsync_path, fsync_tree, write_atomically
from base.sqlite import Connection
from staging import backup, taken_back
from staging.data_dir import SECRET_MODE, DataDir, locked
from staging.errors import StagingError
from staging.store import Database, copies, engine, taken_again
from staging.store.key_file import FILE_NAME
from staging.store.place import log_of
from staging.store.voice_keys import VoiceKeys
from staging.taken_back import TakenBack
from staging.times import now_ms


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
) -> tuple[backup.Summary, tuple[Path, ...]]:
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
        with backup.told_of_room(data.root, data.root):
            made = _unpack(file, work)
            made = replace(
                made, taken_back=_take_back_again(data, file, work / backup.STORE, wanted)
            )
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
    with (
        backup.told_of_room(data.root, data.root),
        closing(VoiceKeys(work / FILE_NAME)) as keys,
    ):
        copies.seal(work / backup.STORE, keys)
    with backup.told_of_room(path, path.parent):
        ready = copies.make_ready(work / backup.STORE, path)
    try:
        _note(data, where, file)
    except BaseException:
        ready.unlink()
        raise
    return _exchange(data, (ready, path), work, names, wanted.label)


def _note(data: DataDir, where: Path | str, file: Path) -> None:
    """Note that from now on the parts of a folder are not of one time: the backup, and the store."""
    told = f"{file.absolute()}\n{engine.shown(engine.locate(where))}\n"
    with backup.told_of_room(data.root, data.root):
        write_atomically(data.restoring, told.encode("utf-8", "surrogateescape"), mode=SECRET_MODE)


def _put_rows(data: DataDir, work: Path, where: Path | str, file: Path, wanted: Wanted) -> None:
    """Put a store into a PostgreSQL; where that refuses, nothing is changed.

    Rows that a restoring that was broken off has put there are replaced without ``--replace``.
    """
    noted = data.restoring.read_text("utf-8", "replace") if data.restoring.exists() else ""
    may_replace = wanted.replace or engine.shown(engine.locate(where)) in noted.splitlines()[1:]
    with closing(VoiceKeys(data.root / FILE_NAME)) as keys:
        copies.copy_in(
            work / backup.STORE, where, keys, replace=may_replace,
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
            (work / backup.PREFIX / name).rename(data.root / name)
        if store is not None:
            if (work / FILE_NAME).exists():
                (work / FILE_NAME).rename(data.root / FILE_NAME)
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
    with closing(sqlite3.connect(copy, factory=Connection)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    return count


def _since(data: DataDir, file: Path, wanted: Wanted) -> Sequence[taken_back.Line]:
    """Return what was taken back since a backup; raises StagingError if nobody knows, and nobody said that it may be so."""
    with backup.opened(file) as archive:
        about = backup.about_of(archive, file)
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
    if wanted.journal is not None and os.path.realpath(path) != os.path.realpath(own.path):
        own.append(lines)
    return found or []


def _put_aside(
    data: DataDir, store: Path | None, names: tuple[str, ...], label: str
) -> tuple[Path, ...]:
    """Move what is to be replaced into a folder of its own; the store goes first, so that none can start.

    A store on another disk is put aside there: a move between two is a copy, for which there may be no room.
    """
    old = [data.root / name for name in names]
    if store is not None:
        beside = [log_of(store, end) for end in backup.BESIDE]
        old = [store, *beside, data.root / FILE_NAME, *old]
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


def _unpack(file: Path, work: Path) -> backup.Summary:
    work.mkdir(mode=0o700)
    with backup.opened(file) as archive:
        about = backup.about_of(archive, file)
        for member in archive:
            _check_name(member, file)
            archive.extract(member, work, filter="data")
    copy = work / backup.STORE
    if not copy.exists() or backup.sha256_of(copy) != about.get("sha256"):
        raise StagingError(f"{file}: not whole: its store is not the one that was saved")
    if "sums" in about:
        _check_sums(file, work)
    schema = copies.check(copy)
    files = (
        tuple(path.name for path in sorted((work / backup.PREFIX).glob("*")))
        if (work / backup.PREFIX).exists()
        else ()
    )
    for path in work.rglob("*"):
        path.chmod(0o700 if path.is_dir() else path.stat().st_mode & 0o644)
    fsync_tree(work)
    return backup.Summary(str(about.get("time")), schema, copy.stat().st_size, files)


def _check_sums(file: Path, work: Path) -> None:
    """Compare the files with the checksums that were saved with them; raises StagingError that names one."""
    try:
        sums = json.loads((work / backup.SUMS).read_bytes()[: backup.SUMS_LIMIT])
        wanted = dict(sums)
    except (OSError, ValueError, TypeError) as error:
        raise StagingError(f"{file}: not whole: its end is missing ({backup.SUMS})") from error
    there = [path for path in sorted((work / backup.PREFIX).rglob("*")) if path.is_file()]
    found = {
        str(path.relative_to(work)): backup.sha256_of(path)
        for path in there
        if not path.is_symlink()
    }
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise StagingError(f"{file}: not whole: {name} is not the one that was saved")


def _check_name(member: tarfile.TarInfo, file: Path) -> None:
    parts = PurePosixPath(member.name).parts
    allowed = parts in {(backup.ABOUT,), (backup.STORE,), (backup.SUMS,)} or (
        parts[:1] == (backup.PREFIX,) and (len(parts) == 1 or parts[1] in backup.KEPT)
    )
    if not allowed or ".." in parts or not (member.isfile() or member.isdir() or member.issym()):
        raise StagingError(f"{file}: {member.name!r}: no part of a backup of story-cloud")
