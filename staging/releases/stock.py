"""Looks whether the packages that lie in the repository are the signed ones, before devices are told of them.

A package that a worn disk has damaged does a device no harm: it compares what it fetches. But each device fetches it in
vain, and its update has failed. So every package is compared at the start and with the upkeep, each minute where its
file has changed, and before it is served, where that was not done in the last six hours. One that differs is not offered, ordered or served, until its file is put back.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from staging.data_dir import DataDir
from staging.store import Database, releases
from staging.store.models import Package
from staging.times import Monotonic

# What a repository with consistent snapshots calls a file: its SHA-256, and its name. Maps are called after their package.
_NAMED = re.compile(r"([0-9a-f]{64})\..+(?<!\.map)")
# Seconds for which a comparison counts: a worn disk changes a file without a trace.
FRESH_SECONDS = 6 * 3600.0
# Files of which it is remembered how they compared.
_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Damage:
    """A package that is not the signed one: its file below ``targets/``, and what to do."""

    name: str
    text: str


class Stock:
    """The files of a repository's ``targets/``; what was compared once is compared again when the file has changed, or is old."""

    MISSING = "is missing"

    def __init__(self, targets: Path, monotonic: Monotonic = time.monotonic) -> None:
        """Look at the files below ``targets``; ``monotonic`` counts seconds."""
        self.targets = targets
        self._monotonic = monotonic
        self._known: dict[tuple[object, ...], tuple[float, str | None]] = {}

    def is_known(self, name: str) -> bool:
        """Return whether a file needs no comparing, which takes long: it was compared, or has no hash in its name."""
        try:
            return not _NAMED.fullmatch(Path(name).name) or self._is_fresh(self._key(name))
        except (OSError, ValueError):
            return True

    def fault(self, name: str) -> str | None:
        """Return how a file differs from what was signed, None if it does not; it blocks."""
        named = _NAMED.fullmatch(Path(name).name)
        if named is None:
            return None
        try:
            key = self._key(name)
            if not self._is_fresh(key):
                if len(self._known) >= _LIMIT:
                    self._known.clear()
                self._known[key] = self._monotonic(), _compare(self.targets / name, named[1])
            return self._known[key][1]
        except FileNotFoundError:
            return self.MISSING
        except (OSError, ValueError) as error:
            return f"cannot be read: {error}"

    def _is_fresh(self, key: tuple[object, ...]) -> bool:
        known = self._known.get(key)
        return known is not None and self._monotonic() - known[0] < FRESH_SECONDS

    def _key(self, name: str) -> tuple[object, ...]:
        found = (self.targets / name).stat()
        return name, found.st_ino, found.st_size, found.st_mtime_ns


def _compare(file: Path, sha256: str) -> str | None:
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    return None if found == sha256 else "is not the signed one"


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: the packages that differ, and those of which that is new or over (by their numbers)."""

    damaged: tuple[Damage, ...]
    changed: Mapping[int, bool]


def compare(rows: Iterable[tuple[Package, str]], stock: Stock) -> Found:
    """Compare packages, with their versions, with what was signed; it blocks while files are read."""
    damaged, changed = [], {}
    for package, version in rows:
        name = unquote(package.path)
        fault = stock.fault(name)
        if fault is not None:
            remedy = (
                f"it is not offered until the package that was added (SHA-256 {package.sha256}) is there again; "
                "`story-cloud check` looks at once"
            )
            file = stock.targets / name
            damaged.append(Damage(name, f"version {version}: {file} {fault}: {remedy}"))
        if releases.is_damaged(package) != (fault is not None):
            changed[package.id] = fault is not None
    return Found(tuple(damaged), changed)


def look(database: Database, data: DataDir) -> tuple[Damage, ...]:
    """Compare every package, note which differ, and return those: for a command."""
    found = compare(database.call(releases.packages), Stock(data.tuf / "targets"))
    for package_id, damaged in found.changed.items():
        database.call(releases.note_damage, package_id, damaged)
    return found.damaged
