"""System calls that make files durable, recorded in their order: what a power cut leaves is decided by them alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

SYNC, RENAME, LINK, REMOVE = "sync", "rename", "link", "remove"


class Recorder:
    """What was synced (with its size then), renamed, linked and removed; paths are relative to a folder."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Record from now on, what happens in ``folder``."""
        self.calls: list[tuple[object, ...]] = []
        self._folder = folder
        self._fsync, self._replace, self._rename = os.fsync, os.replace, os.rename
        self._symlink, self._unlink = os.symlink, os.unlink
        patch.setattr(os, "fsync", self._note_sync)
        patch.setattr(
            os, "replace", lambda *ends, **options: self._note_move(self._replace, *ends, **options)
        )
        patch.setattr(
            os, "rename", lambda *ends, **options: self._note_move(self._rename, *ends, **options)
        )
        patch.setattr(os, "symlink", self._note_link)
        patch.setattr(os, "unlink", self._note_remove)

    def _name(self, path: Any) -> str:
        return os.path.relpath(path, self._folder)

    def _note_sync(self, descriptor: int) -> None:
        self._fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        size = None if path.is_dir() else os.fstat(descriptor).st_size
        self.calls.append((SYNC, self._name(path), size))

    def _note_move(self, move: Any, source: Any, target: Any, **options: Any) -> None:
        size = (
            None
            if Path(source).is_symlink() or Path(source).is_dir()
            else Path(source).stat().st_size
        )
        move(source, target, **options)
        self.calls.append((RENAME, self._name(source), self._name(target), size))

    def _note_link(self, target: Any, link: Any, *options: Any) -> None:
        self._symlink(target, link, *options)
        self.calls.append((LINK, self._name(link)))

    def _note_remove(self, path: Any, **options: Any) -> None:
        self._unlink(path, **options)
        self.calls.append((REMOVE, self._name(path)))

    def faults(self) -> list[str]:
        """Return each rename whose file was not synced whole before it, or whose folder was not after it."""
        found = []
        for at, call in enumerate(self.calls):
            if call[0] != RENAME:
                continue
            _, source, target, size = call
            folder = os.path.normpath(os.path.dirname(str(target)) or ".")  # noqa: PTH120  # a name, not a file
            if size is not None and (SYNC, source, size) not in self.calls[:at]:
                found.append(f"{source} became {target} and was not on the disk")
            if (SYNC, folder, None) not in self.calls[at:]:
                found.append(f"{source} became {target}, and {folder} was not synced after it")
        return found
