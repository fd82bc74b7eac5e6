"""The reports that a cloud keeps: a folder each in ``advise/`` of its data folder, named by device and time.

Of each device the newest `KEPT` are kept; who wants more takes them out of there.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from staging.errors import NotFoundError, StagingError

FOLDER = "advise"
REPORT, JUNIT, PAGE = "report.json", "junit.xml", "report.html"
FORMS = {REPORT: "application/json", JUNIT: "application/xml", PAGE: "text/html; charset=utf-8"}
"""The files of a report, and what each is."""
# Reports of one device that are kept and listed, the newest; a full one has under a megabyte.
KEPT = 30
_NAME = re.compile(r"([0-9a-f]{14})-([0-9]{1,15})")
_log = logging.getLogger(__name__)


class Shelf:
    """The reports of one cloud."""

    def __init__(self, root: Path) -> None:
        """Look into ``advise/`` of a data folder."""
        self._folder = root / FOLDER
        self._heads: dict[str, dict[str, Any]] = {}

    def folder(self, uuid: str, started_ms: int) -> Path:
        """Return where the report of a run is kept."""
        return self._folder / f"{uuid.lower()}-{started_ms}"

    def list(self, uuid: str) -> list[dict[str, Any]]:
        """Return the heads of a device's newest reports, newest first; reads files."""
        heads = [
            self._head(uuid, at)
            for at in self._numbers(uuid)
            if (self.folder(uuid, at) / REPORT).is_file()
        ]
        return [head for head in heads if head][:KEPT]

    def _numbers(self, uuid: str) -> Sequence[int]:
        """Return the numbers of a device's folders, the newest first."""
        names = (path.name for path in self._folder.glob(f"{uuid.lower()}-*"))
        found = (_NAME.fullmatch(name) for name in names)
        return sorted((int(match[2]) for match in found if match), reverse=True)

    def clear_out(self, uuid: str) -> None:
        """Delete a device's oldest reports beyond `KEPT`."""
        for number in self._numbers(uuid)[KEPT:]:
            try:
                shutil.rmtree(self.folder(uuid, number))
            except OSError as error:
                _log.warning("report %s of device %s cannot be deleted: %s", number, uuid, error)

    def _head(self, uuid: str, started_ms: int) -> dict[str, Any]:
        """Return what a list says of a report, {} of one that cannot be read; a report never changes."""
        name = self.folder(uuid, started_ms).name
        if name not in self._heads:
            try:
                made = self.read(uuid, started_ms)
            except StagingError:
                return {}
            if len(self._heads) >= 10 * KEPT:
                self._heads.pop(next(iter(self._heads)))
            kept = ("suite", "seed", "seconds", "counts")
            head = {each: made.get(each) for each in kept}
            self._heads[name] = {"id": started_ms, "firmware": made["device"]["firmware"], **head}
        return self._heads[name]

    def read(self, uuid: str, started_ms: int) -> dict[str, Any]:
        """Return a report; raises NotFoundError, or StagingError if it is none."""
        from staging.advise import report  # noqa: PLC0415  # it loads all checks

        return report.read(self.bytes(uuid, started_ms, REPORT), REPORT)

    def bytes(self, uuid: str, started_ms: int, form: str) -> bytes:
        """Return a report in one of its `FORMS`; raises NotFoundError."""
        path = self.folder(uuid, started_ms) / form
        try:
            if form not in FORMS:
                raise FileNotFoundError
            return path.read_bytes()
        except OSError as error:
            raise NotFoundError(f"report {started_ms}: there is none") from error
