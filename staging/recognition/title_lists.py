"""The titles that devices can play, as known to the cloud: a list for a device, or for a product.

A device does not report its titles (docs/adr/0010), so a tester supplies the list with
``story-cloud catalogue set``. Each list is one file below ``catalogues/`` in the data folder,
replaced atomically.
"""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path

from base.files import make_folder, write_atomically
from staging.data_dir import PUBLIC_MODE, locked
from staging.errors import StagingError
from staging.recognition.titles import TitleIndex
from wire.datapoints import STRING_LIMIT
from wire.errors import FieldError, WireError
from wire.fields import parse_object
from wire.text import fold, is_printable, kept

FOLDER = "catalogues"
# Indexing so many takes 0.8 s, finding one of them by its sound 10 ms.
TITLES_LIMIT = 10_000
FILE_LIMIT = 4 * 1024 * 1024
# UTF-8 bytes: what a data point takes, less the word 播放 before the title.
TITLE_LIMIT = STRING_LIMIT - len("播放".encode())
_EXPECTED = f"1 to {TITLE_LIMIT} bytes of printable text"
# How many lists' indexes are cached.
CACHE_LIMIT = 64


def parse_titles(content: bytes, name: str) -> list[str]:
    """Return the titles of a list as `sort_titles` does, without those that it leaves out."""
    return sort_titles(content, name)[0]


def sort_titles(content: bytes, name: str) -> tuple[list[str], list[FieldError]]:
    """Parse a list of titles: ``{"titles": [...]}``, a JSON list, or plain text, one title a line.

    ``name`` is the source's name, for error messages. Returns the titles, and an error for each that
    is left out because no request could name it: it is too long or not printable.

    Raises:
        WireError: the content is not UTF-8, too long, has an entry that is empty or no string, or no
            title that can be used.
    """
    titles, left_out = [], []
    for index, entry in enumerate(_entries(content, name)):
        title = _title(entry)
        problem = FieldError(f"{name}: titles[{index}]", entry, _EXPECTED)
        if not title:
            raise problem
        if is_printable(title) and len(title.encode()) <= TITLE_LIMIT:
            titles.append(title)
        else:
            left_out.append(problem)
    if not titles:
        raise left_out[0]
    return titles, left_out


def _entries(content: bytes, name: str) -> list[object]:
    if len(content) > FILE_LIMIT:
        raise WireError(f"{name}: got {len(content)} bytes, expected at most {FILE_LIMIT}")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise WireError(f"{name}: not UTF-8 text (byte {error.start})") from error
    if text.startswith("["):
        text = '{"titles":' + text + "}"
    if text.startswith("{"):
        found = parse_object(text, name).get("titles")
    else:
        # Not splitlines(), which would make two titles of one with a line separator in it.
        found = [line.strip() for line in text.split("\n") if line.strip()]
    if not isinstance(found, list) or not found:
        raise FieldError(f"{name}: titles", found, "a list of titles")
    if len(found) > TITLES_LIMIT:
        raise WireError(f"{name}: got {len(found)} titles, expected at most {TITLES_LIMIT}")
    return found


def _title(entry: object) -> str:
    return kept(entry.strip()) if isinstance(entry, str) and fold(entry) else ""


class TitleLists:
    """The lists in one data folder; commands write them, and the running server rereads them."""

    def __init__(self, root: Path) -> None:
        """Use the lists below the data folder ``root``."""
        self._folder = root / FOLDER
        self._cache: dict[Path, tuple[tuple[int, int], TitleIndex, Mapping[str, str]]] = {}
        # Two threads would index the same list twice.
        self._lock = threading.Lock()

    def set(self, titles: Sequence[str], *, uuid: str = "", product: str = "") -> None:
        """Store the list of a device or of a product; raises StagingError."""
        content = json.dumps({"titles": list(titles)}, ensure_ascii=False, indent=1).encode()
        path = self._path(uuid, product)
        try:
            make_folder(self._folder, mode=0o700)
            # `write_atomically` allows one writer at a time; commands may run at the same time.
            with locked(self._folder, "another process is changing the lists of titles"):
                write_atomically(path, content + b"\n", mode=PUBLIC_MODE)
        except OSError as error:
            raise StagingError(f"{path}: {error.strerror}") from error

    def get(self, *, uuid: str = "", product: str = "") -> list[str] | None:
        """Return the list of a device or product, or None; raises StagingError."""
        path = self._path(uuid, product)
        try:
            return parse_titles(path.read_bytes(), path.name)
        except FileNotFoundError:
            return None
        except (OSError, WireError) as error:
            raise StagingError(f"{path}: {error}") from error

    def remove(self, *, uuid: str = "", product: str = "") -> bool:
        """Delete a list; returns False if there was none."""
        path = self._path(uuid, product)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    def index(self, uuid: str, product: str) -> TitleIndex | None:
        """Return the index of a device's titles: its own list, else its product's, else None.

        It reads files and may take a second for thousands of titles: call it in a thread.

        Raises:
            StagingError: the list is damaged.
        """
        for path, names in (
            (self._path(uuid, ""), {"uuid": uuid}),
            (self._path("", product), {"product": product}),
        ):
            found = self._current(path, names)
            if found is not None:
                return found
        return None

    def refresh(self) -> None:
        """Index anew the lists in use that have changed, so that no sentence waits for it.

        It reads files, as `index` does; a list that is damaged is an error of the next sentence.
        """
        for path, (_, _, names) in list(self._cache.items()):
            with contextlib.suppress(StagingError):
                self._current(path, names)

    def _current(self, path: Path, names: Mapping[str, str]) -> TitleIndex | None:
        """Return the index of one list as it is now, None if there is no such list."""
        with self._lock:
            try:
                status = path.stat()
            except FileNotFoundError:
                self._cache.pop(path, None)
                return None
            stamp = (status.st_mtime_ns, status.st_ino)
            cached = self._cache.get(path)
            if cached is None or cached[0] != stamp:
                cached = (stamp, TitleIndex(self.get(**names) or ()), names)
                if len(self._cache) >= CACHE_LIMIT:
                    self._cache.pop(next(iter(self._cache)), None)
                self._cache[path] = cached
            return cached[1]

    def _path(self, uuid: str, product: str) -> Path:
        # A product's name is free text; quoted, it cannot leave the folder.
        if uuid:
            return self._folder / f"device-{uuid.lower()}.json"
        return self._folder / f"product-{urllib.parse.quote(product, safe='')}.json"
