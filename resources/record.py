"""A small record in the state folder: one JSON object, replaced whole and safe at a power cut."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from base.files import make_folder, write_atomically
from machine.errors import UnavailableError
from wire.errors import WireError
from wire.fields import parse_object

_log = logging.getLogger(__name__)


class Record:
    """A JSON object in a file, or in memory alone."""

    def __init__(self, path: Path | None) -> None:
        """Keep the record at ``path``; None: nothing is stored, for tests and other products."""
        self._path = path
        self._lock = asyncio.Lock()

    def load(self) -> dict[str, object]:
        """Return the object; an empty one if there is none, or it is damaged, which is logged."""
        if self._path is None:
            return {}
        try:
            return dict(parse_object(self._path.read_bytes(), self._path.name))
        except FileNotFoundError:
            pass
        except (OSError, WireError) as error:
            _log.error("%s is lost, the defaults hold: %s", self._path.name, error)
        return {}

    async def save(self, values: Mapping[str, object], what: str = "") -> None:
        """Replace the object; raises UnavailableError, which begins with ``what``, if it cannot be written."""
        if self._path is None:
            return
        data = json.dumps(dict(values)).encode()
        async with self._lock:
            try:
                await asyncio.to_thread(_write, self._path, data)
            except OSError as error:
                what = what or self._path.name
                raise UnavailableError(f"{what}: not stored: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    write_atomically(path, data)
