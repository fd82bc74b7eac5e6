"""A small record in the state folder: one JSON object, replaced whole and safe at a power cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from base.files import fsync_path, make_folder, read_record, write_atomically
from base.threads import in_thread
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
        self._stored: bytes | None = None

    def load(self) -> dict[str, object]:
        """Return the object; an empty one if there is none, or it is damaged, which is logged."""
        if self._path is None:
            return {}
        try:
            self._stored = read_record(self._path)
            return dict(parse_object(self._stored, self._path.name))
        except FileNotFoundError:
            pass
        except (OSError, WireError) as error:
            _log.error("%s is lost, the defaults hold: %s", self._path.name, error)
        return {}

    async def save(self, values: Mapping[str, object], what: str = "") -> None:
        """Replace the object; one that is cancelled meanwhile is taken back: its order failed.

        Raises:
            UnavailableError: it cannot be written; the message begins with ``what``.
        """
        if self._path is None:
            return
        data = json.dumps(dict(values)).encode()
        async with self._lock:
            try:
                await in_thread(_write, self._path, data)
            except OSError as error:
                what = what or self._path.name
                raise UnavailableError(f"{what}: not stored: {error.strerror}") from error
            except asyncio.CancelledError:
                with contextlib.suppress(OSError):  # then the disk has not taken the new one either
                    await in_thread(_write, self._path, self._stored)
                raise
            self._stored = data


def _write(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink(missing_ok=True)
        fsync_path(path.parent)
        return
    make_folder(path.parent)
    write_atomically(path, data)
