"""The download folder, which holds at most one download."""

from __future__ import annotations

import shutil
from pathlib import Path


def clear(folder: Path, *keep: Path) -> None:
    """Remove all files from ``folder`` except ``keep``."""
    for path in folder.iterdir():
        if path not in keep:
            path.unlink()


def discard(folder: Path) -> None:
    """Remove a complete or partial download."""
    shutil.rmtree(folder, ignore_errors=True)  # the next download removes what is left
