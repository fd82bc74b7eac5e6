"""The settings' files: agent.toml, and beside it the drop-ins of agent.toml.d, which are read in the order of their names.

A later file's member replaces an earlier one's, and leaves the others of its table. What the members mean is
`agent.settings`' affair; here it is remembered which file and line each comes from.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from base.files import read_record
from wire.errors import WireError
from wire.records import dataclass

ENDING = ".toml"
# Bytes. The longest real one has some thousand; a folder or a video by mistake must not fill the memory.
FILE_MAX = 1024 * 1024


class FileFaultError(WireError):
    """A file cannot be read, or is not TOML; the message says why, without its name.

    Attributes:
        file: the file.
    """

    def __init__(self, file: Path, reason: str) -> None:
        """Build it from the file and what is wrong with it."""
        super().__init__(reason)
        self.file = file


@dataclass(frozen=True, slots=True)
class Layer:
    """One file's content."""

    file: Path
    text: str
    tables: Mapping[str, object]

    def line_of(self, name: str) -> int | None:
        """Return the line of a member ("voice.quality") or a table, None if it is written another way."""
        table, _, key = name.partition(".")
        now = ""
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.match(r"\s*\[\s*([^\]]+?)\s*\]", line):
                now = header[1].strip("\"'")
                if not key and now == table:
                    return number
            named = re.match(r"\s*([\w.\"'-]+?)\s*=", line)
            if named and named[1].replace('"', "").replace("'", "") in _spellings(now, table, key):
                return number
        return None


def _spellings(now: str, table: str, key: str) -> set[str]:
    """Return how a line may spell a member, inside the table ``now`` ("" is the file's head)."""
    if now == "":
        return {f"{table}.{key}", table}
    return {key} if now == table else set()


@dataclass(frozen=True, slots=True)
class Layers:
    """All files, the one that counts most last; ``faults`` are of those that could not be read."""

    files: Sequence[Layer] = ()
    faults: Sequence[FileFaultError] = field(default=())

    def merged(self) -> dict[str, object]:
        """Return the tables; a table in the place of a value, or the other way round, replaces it."""
        whole: dict[str, object] = {}
        for layer in self.files:
            for name, table in layer.tables.items():
                before = whole.get(name)
                is_both = isinstance(table, dict) and isinstance(before, dict)
                whole[name] = {**before, **table} if is_both else table  # type: ignore[dict-item]
        return whole

    def origin(self, name: str) -> Layer | None:
        """Return the file from which a member ("voice.quality") or a table comes, None for no file."""
        table, _, key = name.partition(".")
        for layer in reversed(self.files):
            found = layer.tables.get(table)
            if table in layer.tables and (not key or (isinstance(found, dict) and key in found)):
                return layer
        return None


def drop_in_folder(path: Path) -> Path:
    """Return the folder of the drop-ins of a settings file."""
    return path.with_name(f"{path.name}.d")


def watched_files(path: Path | None) -> list[Path]:
    """Return whose changes change the settings: drop-ins, their folder, and the settings file last."""
    if path is None:
        return []
    folder = drop_in_folder(path)
    return [folder, *_drop_ins(folder, []), path]


def read_layers(path: Path) -> Layers:
    """Read a settings file and its drop-ins; the file itself may be missing if there is a folder of drop-ins."""
    faults: list[FileFaultError] = []
    folder = drop_in_folder(path)
    drop_ins = _drop_ins(folder, faults)
    wanted = drop_ins if _is_missing(path) and not _is_missing(folder) else [path, *drop_ins]
    files = [layer for file in wanted if (layer := _read(file, faults)) is not None]
    return Layers(files, faults)


def layers_of(text: str, file: Path = Path("agent.toml")) -> Layers:
    """Return one file's layers, by its text."""
    try:
        return Layers([_parse(file, text)])
    except FileFaultError as fault:
        return Layers([], [fault])


def _is_missing(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:  # reading it says why
        return False
    return False


def _drop_ins(folder: Path, faults: list[FileFaultError]) -> list[Path]:
    try:
        found = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        faults.append(FileFaultError(folder, error.strerror or str(error)))
        return []
    # Editors leave .agent.toml.swp and agent.toml~ beside what they edit.
    return [file for file in found if file.suffix == ENDING and not file.name.startswith(".")]


def _read(file: Path, faults: list[FileFaultError]) -> Layer | None:
    try:
        return _parse(file, read_record(file, FILE_MAX).decode("utf-8-sig"))
    except FileFaultError as fault:
        faults.append(fault)
    except OSError as error:
        faults.append(FileFaultError(file, error.strerror or str(error)))
    except UnicodeDecodeError:
        faults.append(FileFaultError(file, "not UTF-8 text"))
    return None


def _parse(file: Path, text: str) -> Layer:
    try:
        return Layer(file, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise FileFaultError(file, f"not TOML: {error}") from error
    except RecursionError as error:
        raise FileFaultError(file, "not TOML: nested too deep") from error
    except ValueError as error:
        raise FileFaultError(file, "not TOML: a number of too many digits") from error
