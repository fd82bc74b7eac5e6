"""Opening the store of a data folder: one that was there and is gone, empty or damaged is not begun anew."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

from base.files import write_atomically
from staging.data_dir import SECRET_MODE, DataDir
from staging.errors import StagingError, StoreFaultError
from staging.store import Database, copies, engine, mark, place, schema, soundness
from staging.store.key_file import FILE_NAME
from staging.store.mark import StoreMark
from staging.store.place import Fault, log_of
from staging.store.voice_keys import VoiceKeys
from staging.taken_back import TakenBack

DAMAGED = Fault(
    "请用 `story-cloud restore FILE` 恢复备份；`story-cloud check` 列出损坏之处",
    "put a backup back with `story-cloud restore FILE`; `story-cloud check` lists the damage",
)

_log = logging.getLogger(__name__)


def open_store(data: DataDir, where: Path | str, *, looks: bool = False) -> Database:
    """Open the store ``where`` of a data folder.

    ``looks``: for the server, which is alone on the folder: it looks for damage too, as far as some seconds allow, and
    removes what a restoring left that was killed before it changed anything: what was erased since is in that.

    Raises:
        StagingError: it cannot be used; the message says what to do.
    """
    path = engine.file_of(where)
    _check_whole_restored(data)
    if path is not None:
        check_there(data, path)
        if not path.exists() or not path.stat().st_size:
            mark.forget(path)  # of the one that somebody has removed, to begin anew
        elif looks:
            check_sound(path, soundness.LOOK_SECONDS)
    database = Database(where)
    database.journal = TakenBack(data).append
    database.voice_keys = VoiceKeys(data.root / FILE_NAME)
    if path is not None and looks:
        database.mark = StoreMark(path)
    if looks:
        _remove_unpacked(data, path)
    _mark(data, path)
    return database


def _remove_unpacked(data: DataDir, path: Path | None) -> None:
    shutil.rmtree(data.unpacked, ignore_errors=True)
    if path is not None:
        with contextlib.suppress(OSError):  # of a disk that is read-only
            copies.ready_path(Path(os.path.realpath(path))).unlink(missing_ok=True)


def _check_whole_restored(data: DataDir) -> None:
    """Refuse a folder in which a restoring was broken off: store, CA and keys are not of one time."""
    try:
        file, *_ = data.restoring.read_text("utf-8", "replace").splitlines() or ["FILE"]
    except FileNotFoundError:
        return
    except OSError:
        file = "FILE"
    raise StoreFaultError(
        f"{data.root}：恢复备份 {file} 时中断了，各部分不是同一时间的：请再执行一次 `story-cloud restore {file}`；原来的都在 replaced-* 里",
        f"{data.root}: the restoring of {file} was broken off, so its parts are not of one time: repeat `story-cloud restore "
        f"{file}`; what was there is in replaced-*",
    )


def check_there(data: DataDir, path: Path) -> None:
    """Refuse what is in the place of a store and is none, is missing where one was, or lacks what was written to it.

    Raises:
        StoreFaultError: the message says what to do. Nothing is changed.
    """
    if (wrong := place.find_fault(path)) is not None:
        raise _error(*wrong)
    try:
        fault = soundness.header_fault(path)
    except FileNotFoundError:
        fault = soundness.MISSING
    except OSError as error:
        raise StagingError(f"{path}: {error.strerror}") from error
    if fault in {soundness.MISSING, soundness.EMPTY}:
        if _was_there(data, path):
            raise _gone(data, path, fault)
    elif fault is not None:
        raise _error(path, fault, DAMAGED)
    elif (fault := mark.find_fault(path)) is not None:
        raise _error(path, fault)
    elif (found := soundness.contents(path)) is not None:
        if not found[0] and _was_there(data, path):
            raise _gone(data, path, soundness.BARE)
        # Before anything makes a log beside another program's file.
        schema.check_known(str(path), *found)


def check_whole(data: DataDir, path: Path) -> None:
    """Refuse a store that is not there, or has damage anywhere, however long the look takes; raises StoreFaultError."""
    check_there(data, path)
    if not path.exists():
        raise _error(path, soundness.MISSING, DAMAGED)
    check_sound(path, None)


def check_sound(path: Path, seconds: float | None) -> None:
    """Refuse a store with damaged pages, as far as ``seconds`` of looking show (`soundness.damage`); raises StoreFaultError."""
    if found := "; ".join(soundness.damage(path, seconds)[: None if seconds is None else 1]):
        raise _error(path, Fault(f"已损坏：{found}", f"is damaged: {found}"), DAMAGED)


def _gone(data: DataDir, path: Path, fault: Fault) -> StoreFaultError:
    """Return the error for a store that was there."""
    parts = (path, log_of(path, mark.END)) if fault == soundness.BARE else ()
    rest = [str(each) for each in (*parts, data.made, data.endpoints)]
    zh, en = f"{'、'.join(rest)}", f"{', '.join(rest[:-1])} and {rest[-1]}"
    named = path == data.database
    told = Fault(
        f"{fault.zh}，而 {data.root} 有过数据库", f"{fault.en}, and {data.root} had a store"
    )
    remedy = Fault(
        f"请用 `story-cloud restore FILE` 恢复备份；要从空的开始，请删除 {zh}"
        + ("；数据库在 PostgreSQL 上的，请给出 --database" if named else ""),
        f"put a backup back with `story-cloud restore FILE`; or, to begin with an empty store, remove {en}"
        + ("; if the store is a PostgreSQL, give --database" if named else ""),
    )
    return _error(path, told, remedy)


def _error(path: Path, fault: Fault, remedy: Fault | None = None) -> StoreFaultError:
    zh, en = fault if remedy is None else (f"{fault.zh}；{remedy.zh}", f"{fault.en}; {remedy.en}")
    return StoreFaultError(f"{path}：{zh}", f"{path}: {en}")


def _was_there(data: DataDir, path: Path) -> bool:
    """Return whether a store that is not there now was there, or another one that nobody named now."""
    marked = _marked(data)
    if path == data.database:
        return bool(marked) or data.endpoints.exists()
    return str(path) in marked


def _marked(data: DataDir) -> list[str]:
    try:
        return data.made.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError):
        return ["?"]  # there was one


def _mark(data: DataDir, path: Path | None) -> None:
    """Note which store the folder has, so that one that is gone is missed."""
    name = "postgresql" if path is None else path.name if path == data.database else str(path)
    marked = _marked(data)
    if name in marked:
        return
    try:
        text = "".join(f"{line}\n" for line in [*marked, name])
        write_atomically(data.made, text.encode("utf-8", "surrogateescape"), mode=SECRET_MODE)
    except OSError as error:
        _log.debug("%s: %s", data.made, error.strerror)
