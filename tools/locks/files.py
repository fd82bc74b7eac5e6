"""The lock files: pins with the hashes of their files, as pip reads them, and which file each hash is of.

``files.txt`` has a line of ``SHA-256 bytes name`` for each file; the others are lists for ``pip install
--require-hashes --no-deps``. A file whose hash is not in its line is refused by pip before anything of it runs.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from tools.deb.wheels import platforms
from tools.locks.groups import (
    CONSTRAINTS,
    FOLDER,
    MACHINES,
    PYTHONS,
    ROOT,
    SITE,
    SITE_PINS,
    LockError,
    Slot,
)

FILES = FOLDER / "files.txt"
COMMAND = "make locks"
_PIN = re.compile(r"([a-z0-9-]+)==([0-9A-Za-z.+!]+)( ; [^#]+?)?((?: --hash=sha256:[0-9a-f]{64})+)")
_FILE = re.compile(r"([0-9a-f]{64}) ([0-9]+) ([A-Za-z0-9._+!-]+)")


@dataclass(frozen=True, slots=True, order=True)
class Archive:
    """A wheel, or a source archive, of the package index: its file name, SHA-256 in hex, and size in bytes."""

    name: str
    digest: str
    size: int

    @property
    def distribution(self) -> str:
        """Return the canonical name of the distribution that it is of."""
        return canonicalize_name(self.name.partition("-")[0])


@dataclass(frozen=True, slots=True)
class Pin:
    """A line of a lock: version, pip's marker with its semicolon ("": everywhere), and the hashes of its files."""

    version: str
    marker: str
    digests: frozenset[str]


def read_pins(lock: Path) -> dict[str, Pin]:
    """Return the pins of ``lock`` by canonical name.

    Raises:
        LockError: a line is not ``name==version [; marker] --hash=sha256:DIGEST …``.
        OSError: the file cannot be read.
    """
    pins = {}
    for number, line in enumerate(lock.read_text("utf-8").splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        if not (found := _PIN.fullmatch(line)):
            expected = "name==version --hash=sha256:DIGEST"
            raise LockError(f"{lock}:{number}: got {line[:80]!r}, expected {expected}")
        digests = frozenset(re.findall("[0-9a-f]{64}", found[4]))
        pins[found[1]] = Pin(found[2], found[3] or "", digests)
    return pins


def read_files(file: Path = FILES) -> list[Archive]:
    """Return the files that are known; raises LockError for a line that is none, OSError."""
    known = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        if line.startswith("#"):
            continue
        if not (found := _FILE.fullmatch(line)):
            raise LockError(f"{file}:{number}: got {line[:80]!r}, expected SHA-256, bytes, name")
        known.append(Archive(found[3], found[1], int(found[2])))
    return known


def fits(name: str, slot: Slot) -> bool:
    """Return whether pip can install the wheel ``name`` for this Python on this machine, with Debian 12's libc."""
    return not _tags(slot).isdisjoint(parse_wheel_filename(name)[3])


@functools.cache
def _tags(slot: Slot) -> frozenset[Tag]:
    version = tuple(map(int, slot.python.split(".")))
    there = platforms(slot.machine)
    short = "cp" + slot.python.replace(".", "")
    return frozenset(
        [
            *cpython_tags(version, platforms=there),
            *compatible_tags(version, interpreter=short, platforms=there),
        ]
    )


def make_lock(
    group: str,
    versions: Mapping[str, str],
    slots: Mapping[Slot, Sequence[Archive]],
) -> str:
    """Return the text of a lock.

    Args:
        group: its name, for the head.
        versions: the version of each distribution in it, by canonical name.
        slots: the files of these distributions that each Python on each machine installs.
    """
    versions_file = (SITE_PINS if group == SITE else CONSTRAINTS).relative_to(ROOT)
    head = [f"# {group}: made by `{COMMAND}`, from {versions_file}. How many, and how large:"]
    head += [
        f"# {slot.machine} {slot.python}: {len(files)} packages, {sum(it.size for it in files) / 1e6:.1f} MB"
        for slot, files in slots.items()
    ]
    lines = []
    for name, version in sorted(versions.items()):
        mine = {
            slot: it for slot, files in slots.items() for it in files if it.distribution == name
        }
        hashes = sorted({it.digest for it in mine.values()})
        pin = f"{name}=={version}{marker_of(mine, slots)}"
        lines.append(" ".join([pin, *(f"--hash=sha256:{it}" for it in hashes)]))
    return "\n".join([*head, *lines, ""])


def marker_of(mine: Iterable[Slot], slots: Iterable[Slot]) -> str:
    """Return pip's marker, with its semicolon, for those of ``slots`` that need a pin; "": all of them."""
    mine, everywhere = set(mine), set(slots)
    if mine == everywhere:
        return ""
    pythons = [it for it in PYTHONS if any(slot.python == it for slot in mine)]
    machines = [it for it in MACHINES if any(slot.machine == it for slot in mine)]
    if mine != {it for it in everywhere if it.python in pythons and it.machine in machines}:
        raise LockError("a pin is needed by some Pythons on some machines: name it for all of them")
    words = []
    if {it.python for it in everywhere} != set(pythons):
        words.append(_any_of("python_version", pythons))
    if {it.machine for it in everywhere} != set(machines):
        words.append(_any_of("platform_machine", machines))
    return " ; " + " and ".join(words)


def _any_of(variable: str, values: Sequence[str]) -> str:
    told = " or ".join(f'{variable} == "{value}"' for value in values)
    return f"({told})" if len(values) > 1 else told


def make_files(archives: Iterable[Archive]) -> str:
    """Return the text of ``files.txt``."""
    lines = [f"{it.digest} {it.size} {it.name}" for it in sorted(set(archives))]
    head = f"# SHA-256, bytes and name of each file in the locks; made by `{COMMAND}`."
    return "\n".join([head, *lines, ""])
