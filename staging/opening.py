"""Opening the store of a data folder: one that was there and is gone, empty or damaged is not begun anew."""

from __future__ import annotations

import logging
from pathlib import Path

from base.files import write_atomically
from staging.data_dir import SECRET_MODE, DataDir
from staging.errors import StagingError
from staging.store import Database, engine, soundness
from staging.store.voice_keys import FILE_NAME, VoiceKeys
from staging.taken_back import TakenBack

REMEDY = (
    "put a backup back with `story-cloud restore FILE`; or, to begin with an empty store, remove {made} and "
    "{endpoints}"
)
ELSEWHERE = "; if the store is a PostgreSQL, give --database"
DAMAGED = "put a backup back with `story-cloud restore FILE`; `story-cloud check` lists the damage"

_log = logging.getLogger(__name__)


def open_store(data: DataDir, where: Path | str, *, looks: bool = False) -> Database:
    """Open the store ``where`` of a data folder; ``looks``: for damage too, as far as some seconds allow.

    Raises:
        StagingError: it cannot be used; the message says what to do.
    """
    path = engine.file_of(where)
    if path is not None:
        _check_there(data, path)
        found = soundness.damage(path) if looks and path.exists() else []
        if found:
            raise StagingError(f"{path}: is damaged: {found[0]}; {DAMAGED}")
    database = Database(where)
    database.journal = TakenBack(data).append
    if path is None:
        database.voice_keys = VoiceKeys(data.root / FILE_NAME)
    _mark(data, path)
    return database


def _check_there(data: DataDir, path: Path) -> None:
    """Refuse a file that is missing, empty or cut where a store was before."""
    try:
        fault = soundness.header_fault(path)
    except FileNotFoundError:
        fault = "is missing"
    except OSError as error:
        raise StagingError(f"{path}: {error.strerror}") from error
    if fault is None:
        return
    is_new = fault in {"is missing", "is empty"}
    if is_new and not _was_there(data, path):
        return
    if not is_new:
        raise StagingError(f"{path}: {fault}; {DAMAGED}")
    remedy = REMEDY.format(made=data.made, endpoints=data.endpoints)
    elsewhere = ELSEWHERE if path == data.database else ""
    raise StagingError(f"{path}: {fault}, and {data.root} had a store: {remedy}{elsewhere}")


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
