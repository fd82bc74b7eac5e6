"""Finds titles among tens of thousands, in folders that were read before; no I/O.

A folder's titles are kept as two byte strings, the names of its files and their folded titles
(`wire.text.fold`), each in natural order. All folded titles together are one string of some
megabytes, in which a title, or a part of one, is found by `bytes.find` in about a millisecond;
50,000 strings and a table of them would take several times the memory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from resources.titles.natural import Key, folded_key, natural_key
from wire.records import dataclass
from wire.text import cleaned, fold

FolderKey = tuple[tuple[Key, bytes], ...]

# Between titles; no folded title contains it.
_BREAK = b"\n"
# Between file names; no name can contain it.
_SLASH = b"/"


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder's titles; ``path`` is relative to the media folder, b"" for itself.

    ``names`` are the files' names, separated by slashes; ``folded`` the titles in the same order, each
    between line breaks. Both are empty without titles.
    """

    path: bytes
    key: FolderKey
    names: bytes
    folded: bytes
    count: int

    def every_name(self) -> list[bytes]:
        """Return the file names in order."""
        return self.names.split(_SLASH) if self.count else []


@dataclass(frozen=True, slots=True)
class Hit:
    """A title that was found: the numbers of its folder, and of the title in that folder."""

    folder: int
    title: int


def title_of(name: bytes) -> str:
    """Return the title of a file: its name without the ending, as it is shown.

    Bytes that are not UTF-8 (old cards) and control characters become U+FFFD.
    """
    stem = name.rpartition(b".")[0] or name
    return cleaned(stem.decode("utf-8", "replace"))


def name_of(folder: bytes) -> str:
    """Return the name of a folder as it is shown; ``folder`` is its path."""
    return cleaned(folder.rpartition(_SLASH)[2].decode("utf-8", "replace"))


def in_order(names: Iterable[bytes]) -> list[bytes]:
    """Return the names of folders in natural order."""
    return sorted(names, key=lambda name: (natural_key(name_of(name)), name))


def make_folder(path: bytes, names: Iterable[bytes], limit: int) -> Folder:
    """Return the folder with the files ``names``, of which the first ``limit`` in order are kept."""
    named = [(fold(title_of(name)), name) for name in names]
    named.sort(key=lambda pair: (folded_key(pair[0]), pair[1]))
    del named[limit:]
    folded = [title.encode() for title, _ in named]
    parts = path.split(_SLASH) if path else []
    return Folder(
        path,
        tuple((natural_key(name_of(part)), part) for part in parts),
        _SLASH.join(name for _, name in named),
        _BREAK.join([b"", *folded, b""]) if folded else b"",
        len(named),
    )


class TitleIndex:
    """All folders in order: a folder's own titles, then those of the folders below it."""

    def __init__(self, root: bytes, folders: Iterable[Folder]) -> None:
        """Index ``folders`` of the media folder ``root``; the folder itself is one of them."""
        self.root = root
        self.folders: Sequence[Folder] = sorted(folders, key=lambda folder: folder.key)
        sizes = [len(folder.folded) for folder in self.folders]
        self._titles = b"".join(folder.folded for folder in self.folders)
        self._starts = list(accumulate(sizes, initial=0))
        paths = [folder.path or root for folder in self.folders]
        self._names = [fold(name_of(path)) for path in paths]

    def __len__(self) -> int:
        """Return the number of titles."""
        return sum(folder.count for folder in self.folders)

    def titled(self, wanted: str) -> Iterator[Hit]:
        """Yield the titles that are ``wanted``, which is folded, in order."""
        phrase = _BREAK + wanted.encode() + _BREAK
        place = self._titles.find(phrase)
        while place >= 0:
            yield self._hit(place)
            place = self._titles.find(phrase, place + 1)

    def containing(self, wanted: str) -> Hit | None:
        """Return the first title that contains ``wanted``, which is folded and not empty."""
        place = self._titles.find(wanted.encode())
        return self._hit(place - 1) if place >= 0 else None

    def named(self, wanted: str) -> Iterator[range]:
        """Yield, for each folder whose folded name is ``wanted``, the numbers of it and all below it.

        Folders without any title are left out.
        """
        for number, name in enumerate(self._names):
            if name == wanted:
                below = self._below(number)
                if self._starts[below.start] < self._starts[below.stop]:
                    yield below

    def is_in(self, folder: int, parents: Sequence[str]) -> bool:
        """Return whether the last parts of the folder's path are ``parents``, which are folded."""
        path = [self.root, *self.folders[folder].path.split(_SLASH)]
        last = [fold(name_of(part)) for part in path if part][-len(parents) :]
        return last == list(parents)

    def _below(self, number: int) -> range:
        prefix = self.folders[number].path + _SLASH if self.folders[number].path else b""
        end = number + 1
        while end < len(self.folders) and self.folders[end].path.startswith(prefix):
            end += 1
        return range(number, end)

    def _hit(self, place: int) -> Hit:
        """Return the title that stands at ``place`` or, if that is a line break, after it."""
        folder = bisect_right(self._starts, place) - 1
        begin = self._starts[folder]
        return Hit(folder, self._titles.count(_BREAK, begin, place + 1) - 1)
