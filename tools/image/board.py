"""A board's file: what differs between the machines that the one recipe makes an image for.

``systemd/image/NAME.toml`` is data; everything else in the image is the same for all boards.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wire.errors import FieldError, WireError

FOLDER = Path(__file__).parents[2] / "systemd" / "image"
SIZES = ("select", "boot", "root", "data")
_TEXTS = ("architecture", "suite", "cmdline")
_LISTS = ("sources", "packages", "config", "initramfs_modules", "unwanted")
_PAIRS = ("boot", "select")
_FLAGS = ("slow", "bench_shell")


@dataclass(frozen=True, slots=True)
class Board:
    """One kind of machine.

    Attributes:
        name: the file's name, without its ending.
        architecture: Debian's name of it.
        suite: Debian's release.
        sources: lines of sources.list, with ``{mirror}`` and other variables of `make image`.
        packages: kernel and firmware, besides those that every image has.
        boot: (glob below the root, name) of files on each slot's boot partition; a name that is empty or ends
            with "/" keeps the file's own.
        select: the same for the first partition, which no slot covers.
        config: lines of config.txt.
        cmdline: words for the kernel, besides the root's.
        initramfs_modules: modules that find the root file system.
        unwanted: globs of what is removed from the root.
        slow: whether it is emulated, so that systemd waits longer for the agent.
        bench_shell: whether a root shell listens on the second serial port. Never on what is sold.
        mebibytes: the size of each partition of `SIZES`.
    """

    name: str
    architecture: str
    suite: str
    sources: tuple[str, ...]
    packages: tuple[str, ...]
    boot: tuple[tuple[str, str], ...]
    select: tuple[tuple[str, str], ...]
    config: tuple[str, ...]
    cmdline: str
    initramfs_modules: tuple[str, ...]
    unwanted: tuple[str, ...]
    slow: bool
    bench_shell: bool
    mebibytes: Mapping[str, int]


def read_board(name: str, folder: Path = FOLDER) -> Board:
    """Read a board's file; raises WireError naming the file and the member."""
    path = folder / f"{name}.toml"
    known = sorted(it.stem for it in folder.glob("*.toml"))
    if not path.is_file():
        raise FieldError("BOARD", name, f"one of {', '.join(known)}")
    try:
        return parse_board(name, path.read_text("utf-8"))
    except WireError as error:
        raise WireError(f"{path.name}: {error}") from error


def parse_board(name: str, text: str) -> Board:
    """Parse a board's file strictly; raises WireError naming the member."""
    try:
        source = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WireError(str(error)) from error
    members = {*_TEXTS, *_LISTS, *_PAIRS, *_FLAGS, "mebibytes"}
    if wrong := source.keys() ^ members:
        unknown = sorted(wrong - members)
        raise FieldError(min(wrong), "unknown" if unknown else "missing", "the members of Board")
    board: dict[str, object] = {key: _typed(source, key, str, "a string") for key in _TEXTS}
    board |= {key: _typed(source, key, bool, "true or false") for key in _FLAGS}
    board |= {key: tuple(_strings(source[key], key)) for key in _LISTS}
    board |= {key: tuple(_pair(it, key) for it in _list(source[key], key)) for key in _PAIRS}
    return Board(name=name, mebibytes=_sizes(source["mebibytes"]), **board)  # type: ignore[arg-type]  # each member was checked above


def _typed(source: Mapping[str, object], key: str, kind: type, expected: str) -> object:
    if not isinstance(source[key], kind):
        raise FieldError(key, source[key], expected)
    return source[key]


def _list(value: object, key: str) -> list[object]:
    if not isinstance(value, list):
        raise FieldError(key, value, "a list")
    return value


def _strings(value: object, key: str) -> list[str]:
    items = _list(value, key)
    if not all(isinstance(it, str) for it in items):
        raise FieldError(key, value, "a list of strings")
    return [str(it) for it in items]


def _pair(value: object, key: str) -> tuple[str, str]:
    items = _strings(value, key)
    if len(items) != 2 or items[0].startswith("/"):
        raise FieldError(key, value, "[glob below the root, name]")
    return items[0], items[1]


def _sizes(value: object) -> dict[str, int]:
    if not isinstance(value, dict) or set(value) != set(SIZES):
        raise FieldError("mebibytes", value, f"a table of {', '.join(SIZES)}")
    for key, size in value.items():
        # FAT32, which a Pi 3 starts from, has at least 65525 clusters of one sector.
        if type(size) is not int or size < 33:
            raise FieldError(f"mebibytes.{key}", size, "an integer of at least 33")
    return dict(value)
