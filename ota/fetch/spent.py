"""What a package has cost so far, over all restarts, and its data budget.

``<sha256>.spent`` in the download folder stores it; it outlives a change between parts and whole.
"""

from __future__ import annotations

import json
from pathlib import Path

from base.files import write_atomically
from ota.errors import ContentError
from ota.fetch.source import DownloadSettings, Source
from wire.errors import WireError
from wire.fields import get_int, parse_object
from wire.ota import OtaEvent

# After how many bytes the cost of a download is stored: rarely enough to spare the flash.
SPENT_STEP = 4 * 2**20


class Spent:
    """The cost of a download over all restarts: ``path`` stores the requests and bytes.

    A request is counted on disk before it is sent. Bytes are stored every `SPENT_STEP`; a crash
    loses at most one step.
    """

    def __init__(self, path: Path, budget: int, attempts: int) -> None:
        """Load the cost from ``path``; allow ``budget`` bytes and ``attempts`` requests overall."""
        self._path = path
        self._budget = budget
        self._most = attempts
        self._attempts, self._bytes = self._load()
        self._unsaved = 0

    @property
    def bytes(self) -> int:
        """The bytes received so far."""
        return self._bytes

    def _load(self) -> tuple[int, int]:
        try:
            source = parse_object(self._path.read_bytes(), "spent")
            return get_int(source, "attempts"), get_int(source, "bytes")
        except (OSError, WireError):  # missing or damaged: start at zero
            return 0, 0

    def attempt(self) -> None:
        """Count a request before it is sent; raises ContentError if the budget is spent."""
        if self._attempts >= self._most or self._bytes >= self._budget:
            self._end()
        self._attempts += 1
        self._save()

    def take(self, size: int) -> None:
        """Count ``size`` bytes received; raises ContentError when they exceed the budget."""
        self._bytes += size
        self._unsaved += size
        if self._unsaved >= SPENT_STEP:
            self._save()
        if self._bytes > self._budget:
            self._save()
            self._end()

    def _save(self) -> None:
        self._unsaved = 0
        text = json.dumps({"attempts": self._attempts, "bytes": self._bytes})
        write_atomically(self._path, text.encode())

    def _end(self) -> None:
        spent = f"{self._bytes} bytes in {self._attempts} requests"
        allowed = f"{self._budget} bytes in {self._most} are allowed"
        raise ContentError("budget", f"spent {spent}, {allowed}", OtaEvent.DOWNLOAD_FAIL)


def spent_path(folder: Path, sha256: str) -> Path:
    """Return the file that stores the cost of a package."""
    return folder / f"{sha256}.spent"


def open_spent(folder: Path, source: Source, settings: DownloadSettings) -> Spent:
    """Load the cost of a package so far, with its budget."""
    budget = source.budget or int(settings.budget_factor * source.length)
    return Spent(spent_path(folder, source.sha256), budget, settings.budget_attempts)
