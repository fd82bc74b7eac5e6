"""``make locks``: makes all lock files anew, for the set-up and for the Debian packages.

    python -m tools.locks

Versions are tools/constraints.txt's, for the documents' site tools/site-requirements.txt's; what needs what is read from
.venv. The index is asked, through pip, for the files of each Python on each machine; they stay in build/locks, so that a
second run fetches little.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from packaging.utils import parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from base.files import write_atomically
from tools.deb.recipes import BY_NAME, MACHINES, Recipe
from tools.deb.recipes import PYTHONS as DEBIANS
from tools.deb.wheels import WheelError, download, download_source
from tools.locks.files import COMMAND, FILES, Archive, make_files, make_lock
from tools.locks.groups import (
    FOLDER,
    GROUPS,
    REST,
    ROOT,
    SITE,
    SITE_PINS,
    SLOTS,
    SOURCE,
    LockError,
    Slot,
    needed,
    read_constraints,
)

CACHE = ROOT / "build" / "locks"
Fetch = Callable[[Sequence[str], Slot | None], list[Path]]
"""Fetches ``name==version`` lines as wheels for a slot, or as source archives for None."""


def main() -> int:
    """Write the lock files and print their names; 1 if the index lacks a file."""
    try:
        for path, text in make_all(fetch).items():
            write_atomically(path, text.encode())
            path.chmod(0o644)
            print(path.relative_to(ROOT))
    except (LockError, WheelError) as error:
        print(f"locks: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"locks: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def make_all(get: Fetch) -> dict[Path, str]:
    """Return the text of each lock file; raises LockError, and what ``get`` raises."""
    pins = read_constraints()
    groups = {slot: needed(slot) for slot in SLOTS}
    if loose := {name for of in groups.values() for name in of} - pins.keys():
        raise LockError(f"tools/constraints.txt: no version of {', '.join(sorted(loose))}")
    files: dict[Slot, dict[str, Archive]] = {}
    for slot, of in groups.items():
        lines = [f"{name}=={pins[name]}" for name in sorted(of) if of[name] != SOURCE]
        files[slot] = {it.distribution: it for it in map(archive, get(lines, slot))}
        print(f"locks: {slot.machine} {slot.python}: {len(files[slot])} files", flush=True)
    built = sorted({name for of in groups.values() for name in of if of[name] == SOURCE})
    sources = [archive(it) for it in get([f"{name}=={pins[name]}" for name in built], None)]
    site = fetch_site(get)
    made = _texts(pins, groups, files, sources)
    every = [
        *sources,
        *(it for of in (files, site) for found in of.values() for it in found.values()),
    ]
    return made | {FILES: make_files(every), FOLDER / f"{SITE}.txt": site_lock(site)}


def fetch_site(get: Fetch) -> dict[Slot, dict[str, Archive]]:
    """Return the files that the documents' site is built with, of each slot; raises LockError, and what ``get`` raises."""
    lines = [f"{name}=={version}" for name, version in read_constraints(SITE_PINS).items()]
    return {slot: {it.distribution: it for it in map(archive, get(lines, slot))} for slot in SLOTS}


def site_lock(files: Mapping[Slot, Mapping[str, Archive]]) -> str:
    """Return the text of the lock of the documents' site."""
    return make_lock(
        SITE,
        read_constraints(SITE_PINS),
        {slot: list(found.values()) for slot, found in files.items()},
    )


def _texts(
    pins: Mapping[str, str],
    groups: Mapping[Slot, Mapping[str, str]],
    files: Mapping[Slot, Mapping[str, Archive]],
    sources: Sequence[Archive],
) -> dict[Path, str]:
    """Return the files' texts, from what each slot installs."""
    made: dict[Path, str] = {}
    for group in (*GROUPS, REST):
        chosen = {
            slot: [it for name, it in found.items() if groups[slot][name] == group]
            for slot, found in files.items()
        }
        names = {it.distribution for found in chosen.values() for it in found}
        made[FOLDER / f"{group}.txt"] = make_lock(group, {it: pins[it] for it in names}, chosen)
    built = {it.distribution: pins[it.distribution] for it in sources}
    made[FOLDER / f"{SOURCE}.txt"] = make_lock(SOURCE, built, dict.fromkeys(files, sources))
    for recipe in BY_NAME.values():
        for python in DEBIANS:
            made[recipe.lock(python)] = deb_lock(recipe, python, pins, files)
    return made


def deb_lock(
    recipe: Recipe,
    python: str,
    pins: Mapping[str, str],
    files: Mapping[Slot, Mapping[str, Archive]],
) -> str:
    """Return the text of the lock of a Debian package for one of Debian's Pythons."""
    slots = [Slot(python, machine) for machine in MACHINES.values()]
    bundled = {it: recipe.bundled(python, it.machine) for it in slots}
    lines = []
    for name in sorted({it for names in bundled.values() for it in names}):
        hashes = sorted({files[it][name].digest for it in slots if name in bundled[it]})
        lines.append(" ".join([f"{name}=={pins[name]}", *(f"--hash=sha256:{it}" for it in hashes)]))
    head = f"# Made by `{COMMAND}`, from tools/constraints.txt. Wheels of all architectures."
    return "\n".join([head, *lines, ""])


def archive(file: Path) -> Archive:
    """Return a file's name, digest and size; raises OSError."""
    data = file.read_bytes()
    return Archive(file.name, hashlib.sha256(data).hexdigest(), len(data))


def fetch(requirements: Sequence[str], slot: Slot | None) -> list[Path]:
    """Return the files for a slot, or source archives for None, from build/locks or the index.

    Raises:
        WheelError: pip's last line says why.
        LockError: a file did not come.
    """
    if slot is None:
        return _only(download_source(requirements, CACHE / SOURCE), requirements)
    (architecture,) = (name for name, machine in MACHINES.items() if machine == slot.machine)
    folder = CACHE / f"{slot.python}-{slot.machine}"
    return _only(download(requirements, folder, slot.python, architecture), requirements)


def _only(found: Sequence[Path], requirements: Sequence[str]) -> list[Path]:
    """Return the files of these versions, without those of an earlier run."""
    pairs = (line.partition("==") for line in requirements)
    wanted = {(name, Version(version)) for name, _, version in pairs}
    chosen = {named: path for path in found if (named := _named(path.name)) in wanted}
    if lacking := wanted - chosen.keys():
        raise LockError(f"no file of {', '.join(sorted(name for name, _ in lacking))} came")
    return list(chosen.values())


def _named(file: str) -> tuple[str, Version]:
    """Return canonical name and version of a file of the index."""
    parsed = parse_wheel_filename(file) if file.endswith(".whl") else parse_sdist_filename(file)
    return parsed[0], parsed[1]


if __name__ == "__main__":
    sys.exit(main())
