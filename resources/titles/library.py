"""What the machine can play of its card: the sound files in its media folder.

A title is a file's name without its ending; a folder's name stands for all titles in it and below it,
in natural order. No name or link can select a file outside the media folder.
"""

from __future__ import annotations

import asyncio
import logging
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import overload

from machine.errors import RefusedError, ResourceError, UnavailableError
from resources.playing.queue import Queue, Track
from resources.titles.media_folder import MediaFolder
from resources.titles.title_index import Folder, Hit, TitleIndex, title_of
from wire.errors import show
from wire.media import SOUND_ENDINGS, sound_ending
from wire.text import cleaned, fold, kept

# Seconds. The start of the agent and what a child orders first go before the reading of the card.
FIRST_SECONDS = 10.0
AGAIN_SECONDS = 30.0

_log = logging.getLogger(__name__)

# Titles of the same name among which the one in the asker's own spelling is looked for.
_SPELLINGS_LIMIT = 100
_EXPECTED = (
    "a folder of them, an http(s) URL, or next, previous, pause, resume, stop; titles are files that"
    f" end in {' '.join(sorted(SOUND_ENDINGS))}"
)


class Tracks(Sequence[Track]):
    """The titles of some folders in order, as they were when asked for; each is made when used.

    A folder may stand for 50,000 titles, of which few are ever played.
    """

    def __init__(self, root: bytes, folders: Sequence[Folder]) -> None:
        """Use ``folders`` of the media folder ``root``."""
        self._root = root
        self._folders = folders
        self._starts = list(accumulate((folder.count for folder in folders), initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> Track: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Track]: ...
    def __getitem__(self, index: int | slice) -> Track | Sequence[Track]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        place = bisect_right(self._starts, number) - 1
        folder = self._folders[place]
        return self._track(folder, folder.every_name()[number - self._starts[place]])

    def __iter__(self) -> Iterator[Track]:
        return (self._track(f, name) for f in self._folders for name in f.every_name())

    def _track(self, folder: Folder, name: bytes) -> Track:
        path = os.path.join(folder.path, name)  # noqa: PTH118  # bytes: no Path
        full = os.path.join(self._root, path)  # noqa: PTH118
        return Track(title_of(name), os.fsdecode(full), os.fsdecode(path))


class Library:
    """Looks up titles in the media folder as it is at that moment."""

    def __init__(self, folder: Path) -> None:
        """Look in the media folder ``folder``, which need not exist."""
        self._media = MediaFolder(folder)
        self._indexed: TitleIndex | None = None
        self._tracks: Sequence[Track] = ()

    def find(self, wanted: str) -> Queue:
        """Return the queue for a title or a folder's name.

        The queue of a title is its whole folder, starting at the title. Titles and names are compared
        by `wire.text.fold`. The first of these that exists is taken: a title, a file's name with its
        ending, a folder, "folder/title" or "folder/folder", a title that contains ``wanted``.

        Raises:
            RefusedError: nothing has that name.
            UnavailableError: the media folder cannot be read.
        """
        index = self._index()
        found = _find(index, wanted) or _find(index, _unmarked(wanted))
        if found is None and self._media.unreadable():
            index = self._index(again=True)
            found = _find(index, wanted)
        if found is not None:
            return found
        error = self._media.unreadable()
        if error is not None:
            raise UnavailableError(
                f"play: {show(wanted)} was not found, and a folder of the media cannot be read:"
                f" {error.strerror}"
            )
        raise RefusedError(
            f"play: got {show(wanted)}, expected one of {len(index)} titles, {_EXPECTED}"
        )

    async def open(self, text: str) -> Queue:
        """Return `find` of ``text``, whose reading waits for the card in a thread."""
        return await asyncio.to_thread(self.find, text)

    async def run(self) -> None:
        """Read what changed on the card ahead of orders, until cancelled.

        Reading 50,000 titles for the first time takes seconds on a small machine.
        """
        wait = FIRST_SECONDS
        while True:
            await asyncio.sleep(wait)
            wait = AGAIN_SECONDS
            try:
                await asyncio.to_thread(self.refresh)
            except ResourceError as error:
                _log.info("%s", error)  # whoever orders a title is told

    def tracks(self) -> Sequence[Track]:
        """Return all titles in order, the same object until one changes; raises UnavailableError."""
        index = self._index()
        if index is not self._indexed:
            self._indexed, self._tracks = index, Tracks(index.root, index.folders)
        return self._tracks

    def titles(self) -> list[str]:
        """Return all titles in order."""
        return [track.title for track in self.tracks()]

    def refresh(self) -> None:
        """Read what changed in the media folder; raises UnavailableError if it cannot be read."""
        self._index()

    async def close(self) -> None:
        """Watch the media folder no longer."""
        await asyncio.to_thread(self._media.close)  # another thread may be reading a slow card

    def _index(self, *, again: bool = False) -> TitleIndex:
        try:
            return self._media.index(again=again)
        except OSError as error:
            raise UnavailableError(f"play: the media cannot be read: {error.strerror}") from error


def _find(index: TitleIndex, wanted: str) -> Queue | None:
    folded = fold(cleaned(wanted)).rstrip("/ ")  # as a shell completes a folder
    if not folded:
        return None
    *parents, last = folded.split("/")
    # First, because what no title contains is no title either: that saves a second search.
    part = index.containing(folded)
    return (
        (_titled(index, wanted, folded) if part is not None else None)
        or _with_ending(index, folded)
        or _folder(index, folded)
        or (_in_path(index, parents, last) if parents and last else None)
        or (_queue_at(index, part) if part is not None else None)
    )


def _unmarked(wanted: str) -> str:
    """Return the name in a sentence, as recognised speech has it (《小星星》。); "" if that is all."""
    name = wanted.strip().rstrip("。")
    if name[:1] == "《" and name[-1:] == "》":
        name = name[1:-1]
    return name if name != wanted else ""


def _titled(index: TitleIndex, wanted: str, folded: str) -> Queue | None:
    """Return the queue at the title ``wanted``: the one that is spelled so, else the first."""
    first: Queue | None = None
    for _, hit in zip(range(_SPELLINGS_LIMIT), index.titled(folded), strict=False):
        queue = _queue_at(index, hit)
        if queue.tracks[queue.index].title == kept(wanted):
            return queue
        first = first or queue
    return first


def _with_ending(index: TitleIndex, folded: str) -> Queue | None:
    """Return the queue at the file whose name with its ending is asked for."""
    ending = sound_ending(folded)
    if ending is None:
        return None
    named = index.titled(folded.removesuffix(f".{ending}").rstrip())
    queues = (_queue_at(index, hit) for hit in named)
    return next((q for q in queues if sound_ending(q.tracks[q.index].source) == ending), None)


def _folder(index: TitleIndex, folded: str) -> Queue | None:
    for below in index.named(folded):
        return Queue(Tracks(index.root, index.folders[below.start : below.stop]), whole=True)
    return None


def _in_path(index: TitleIndex, parents: Sequence[str], last: str) -> Queue | None:
    """Return the queue for a title or folder whose path ends with ``parents``: Big Album/CD1/Track 2."""
    for hit in index.titled(last):
        if index.is_in(hit.folder, parents):
            return _queue_at(index, hit)
    for below in index.named(last):
        if index.is_in(below.start, [*parents, last]):
            return Queue(Tracks(index.root, index.folders[below.start : below.stop]), whole=True)
    return None


def _queue_at(index: TitleIndex, hit: Hit) -> Queue:
    tracks = Tracks(index.root, index.folders[hit.folder : hit.folder + 1])
    return Queue(tracks, hit.title)
