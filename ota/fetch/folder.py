"""The download folder, which holds at most one download."""

from __future__ import annotations

from pathlib import Path


def clear(folder: Path, *keep: Path) -> None:
    """Remove all files from ``folder`` except ``keep``."""
    for path in folder.iterdir():
        if path not in keep:
            path.unlink()


def discard(folder: Path) -> None:
    """Remove a complete or partial download."""
    if not folder.exists():
        return
    import shutil  # noqa: PLC0415  # it loads archives' formats, which no idle agent needs

    shutil.rmtree(folder, ignore_errors=True)  # the next download removes what is left
