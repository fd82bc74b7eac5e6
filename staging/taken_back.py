"""The journal of what was erased and taken back, beside the store and in no backup (docs/adr/0062).

It is a file of lines of JSON in the data folder, and as secret as that: passwords' hashes and devices' new tokens are in
it. Every process of a cloud appends to it. A backup leaves a mark in it, and a restoring does once more what comes after.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from base.files import fsync_path, write_atomically
from staging.data_dir import SECRET_MODE, DataDir, locked
from staging.store.voice_ledger import KEEP_MS
from staging.times import now_ms, parse_iso

FILE_NAME = "taken-back.jsonl"
# A shorter file is not looked through for lines that are too old.
PRUNE_BYTES = 4 * 2**20

Line = dict[str, Any]


class TakenBack:
    """The journal of a data folder."""

    def __init__(self, data: DataDir) -> None:
        """Use the file in ``data``, which need not exist."""
        self.path = data.root / FILE_NAME
        self._lock = data.root / ".taken-back.lock"

    def append(self, lines: Iterable[Line]) -> None:
        """Append lines; they are on the disk afterwards.

        Raises:
            OSError: the disk does not take them.
            StagingError: another process has had the file for too long.
        """
        now = now_ms()
        told = "".join(f"{json.dumps({'at': now, **line})}\n" for line in lines).encode()
        with locked(self._lock, "another process is writing what was taken back"):
            is_new = not self.path.exists()
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, SECRET_MODE)  # fmt: skip
            # Buffered: a raw write may take a part, and say so in a number only.
            with os.fdopen(handle, "r+b") as file:
                if _is_torn(handle):
                    told = b"\n" + told
                file.write(told)
                file.flush()
                os.fsync(handle)
            if is_new:
                fsync_path(self.path.parent)

    def mark(self, backup: str) -> None:
        """Note that a backup of this name begins; raises as `append`."""
        self.append([{"kind": "backup", "id": backup}])

    def prune(self, now: int) -> None:
        """Drop the lines that are older than receipts and ledger are kept; raises as `append`."""
        if not self.path.exists() or self.path.stat().st_size < PRUNE_BYTES:
            return
        with locked(self._lock, "another process is writing what was taken back"):
            kept = [line for line in read(self.path) if line["at"] >= now - KEEP_MS]
            text = "".join(f"{json.dumps(line)}\n" for line in kept)
            write_atomically(self.path, text.encode(), mode=SECRET_MODE)


def _is_torn(file: int) -> bool:
    """Return whether a power cut has left the last line without its end."""
    size = os.fstat(file).st_size
    return size > 0 and os.pread(file, 1, size - 1) != b"\n"


def read(path: Path) -> list[Line]:
    """Return the lines of a journal; damaged ones are left out. Raises OSError."""
    found = []
    for text in path.read_bytes().split(b"\n"):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("at"), int):
            found.append(line)
    return found


def since(lines: Sequence[Line], backup: str | None, time: str) -> list[Line] | None:
    """Return what was taken back after a backup began; None: the journal does not know this backup.

    One without a name was made by a version that left no mark: ``time``, in ISO's form, stands for it.
    """
    if backup is None:
        if not lines:
            return None
        began, _ = parse_iso(time, "time")
        return [line for line in lines if line["at"] >= began]
    for place, line in enumerate(lines):
        if line.get("kind") == "backup" and line.get("id") == backup:
            return list(lines[place + 1 :])
    return None
