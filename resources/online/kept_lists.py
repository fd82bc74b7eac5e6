"""Lists and feeds kept beside their stories: a podcast plays what is on the disk without the network."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence

from machine.errors import RefusedError
from resources.online.cache import Cache, key_of
from resources.online.policy import Target, parse_target
from resources.online.stores import on_disk
from wire.entries import ENTRIES_LIMIT, Entry
from wire.errors import FieldError, WireError
from wire.fields import parse_object

FORMAT = 1
# Of the lists in lists, which are in place of their names, all entries together.
_KEPT_LIMIT = 4 * ENTRIES_LIMIT
_TYPE = "application/json"

_log = logging.getLogger(__name__)


class KeptLists:
    """Keeps the entries of lists in the stories' cache, and finds those whose stories are whole."""

    def __init__(self, cache: Cache) -> None:
        """Use ``cache``, whose bounds hold for lists too."""
        self._cache = cache

    async def keep(self, target: Target, entries: Sequence[Entry]) -> None:
        """Keep what the list at ``target`` has now; a disk that fails costs only this."""
        try:
            await on_disk(self._write, key_of_list(target), dump_entries(entries[:_KEPT_LIMIT]))
        except OSError as error:
            _log.warning("play: the list %s is not kept: %s", target.shown, error.strerror)

    async def find(self, target: Target) -> tuple[list[Entry], int]:
        """Return the entries whose stories are on the disk, and how many others the list has."""
        try:
            return await on_disk(self._read, key_of_list(target))
        except (OSError, WireError) as error:
            _log.warning("play: the kept list %s cannot be read: %s", target.shown, error)
            return [], 0

    def _write(self, key: str, body: bytes) -> None:
        mark = hashlib.sha256(body).hexdigest()[:16]
        kept = self._cache.begin(key, len(body), _TYPE, mark)
        if kept is not None:
            try:
                if not kept.record.whole:
                    kept.write(0, body)
            finally:
                kept.close()

    def _read(self, key: str) -> tuple[list[Entry], int]:
        kept = self._cache.find(key)
        if kept is None:
            return [], 0
        try:
            entries = parse_entries(kept.read(0, kept.record.size))
        finally:
            kept.close()
        there = [entry for entry in entries if self._is_whole(entry.url)]
        return there, len(entries) - len(there)

    def _is_whole(self, url: str) -> bool:
        try:
            return self._cache.has_whole(key_of(parse_target(url)))
        except RefusedError:
            return False


def dump_entries(entries: Iterable[Entry]) -> bytes:
    """Render the entries of a list."""
    rows = [[entry.title, entry.url] for entry in entries]
    return json.dumps({"format": FORMAT, "entries": rows}).encode()


def parse_entries(data: bytes) -> list[Entry]:
    """Parse the entries of a list; raises WireError."""
    rows = parse_object(data, "list").get("entries")
    found = []
    for row in rows if isinstance(rows, list) else [None]:
        match row:
            case [str(title), str(url)]:
                found.append(Entry(title, url))
            case _:
                raise FieldError("entries", row, "pairs of title and URL", secret=True)
    return found


def key_of_list(target: Target) -> str:
    """Return the name under which a list is kept: not that of a story at the same address."""
    return hashlib.sha256(f"list\n{key_of(target)}".encode()).hexdigest()[:40]
