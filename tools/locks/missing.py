"""Prints the lines of lock files whose pins this Python has not, for tools/setup.sh.

    .venv/bin/python tools/locks/missing.py LOCK…

It needs nothing but Python and pip, because the set-up begins with it.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement


def missing(text: str) -> Iterator[str]:
    """Return the lines of a lock's ``text`` that are for this Python and machine, and not installed as they say."""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        wanted = Requirement(line.partition(" --hash=")[0])
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        if not wanted.specifier.contains(_installed(wanted.name), prereleases=True):
            yield line


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "0.dev0"  # no release has it


if __name__ == "__main__":
    for lock in sys.argv[1:]:
        for each in missing(Path(lock).read_text("utf-8")):
            print(each)
