"""What the machine can play: the audio files in its media folder, and addresses on the network.

A title is a file's name without its ending; a folder's name stands for everything in it. Nothing
outside the media folder is ever played by name, whatever the name says.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from machine.errors import RefusedError, UnavailableError
from wire.errors import show

AUDIO_ENDINGS = frozenset({".mp3", ".m4a", ".aac", ".ogg", ".opus", ".flac", ".wav"})
# A card full of songs; listing that many takes well under a second even on a Pi.
TRACK_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Track:
    """Something to play: what it is called, and where the player finds it (path or URL)."""

    title: str
    source: str


@dataclass(frozen=True, slots=True)
class Queue:
    """Tracks in order and the one that plays."""

    tracks: tuple[Track, ...] = ()
    index: int = 0

    @property
    def current(self) -> Track | None:
        """The track that plays, None in an empty queue."""
        return self.tracks[self.index] if self.tracks else None

    def move(self, step: int) -> Queue | None:
        """Return the queue ``step`` tracks on, None past either end."""
        index = self.index + step
        return Queue(self.tracks, index) if 0 <= index < len(self.tracks) else None


class Catalogue:
    """Looks titles up in the media folder; read anew each time, so a changed card is seen."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``, which need not exist."""
        self._folder = folder

    def find(self, wanted: str) -> Queue:
        """Return the queue that a title, a folder's name or an http(s) URL stands for.

        A title's queue is its whole folder, beginning at the title.

        Raises:
            RefusedError: nothing of that name.
            UnavailableError: the media folder cannot be read.
        """
        if wanted.startswith(("http://", "https://")):
            return Queue((Track(wanted, wanted),))
        files = self._files() if wanted else []
        for matches in (_named_exactly(files, wanted), _in_folder(files, wanted),
                        _named_like(files, wanted)):  # fmt: skip
            if matches:
                return _queue_of_folder(files, matches)
        raise RefusedError(
            f"play: got {show(wanted)}, expected one of {len(files)} titles, a folder of them,"
            " an http(s) URL, or next, previous, pause, resume, stop"
        )

    def titles(self) -> list[str]:
        """List the titles, sorted."""
        return [_title(path) for path in self._files()]

    def _files(self) -> list[Path]:
        # A link on the card must not lead the player elsewhere. realpath, for Path.resolve raises
        # RuntimeError for a link that leads to itself.
        root = Path(os.path.realpath(self._folder))
        try:
            inside = [
                path
                for path in self._folder.rglob("*")
                if path.suffix.lower() in AUDIO_ENDINGS
                and Path(os.path.realpath(path)).is_relative_to(root)
                and path.is_file()
            ]
        except OSError as error:
            raise UnavailableError(f"play: the media cannot be read: {error.strerror}") from error
        return sorted(inside)[:TRACK_LIMIT]


def _title(path: Path) -> str:
    """Return a file's title; a name that is not UTF-8, as old cards have, is shown with marks."""
    return path.stem.encode(errors="surrogateescape").decode(errors="replace")


def _named_exactly(files: list[Path], wanted: str) -> list[Path]:
    return [
        path
        for path in files
        if wanted.casefold() in (_title(path).casefold(), path.name.casefold())
    ]


def _in_folder(files: list[Path], wanted: str) -> list[Path]:
    return [path for path in files if path.parent.name.casefold() == wanted.casefold()]


def _named_like(files: list[Path], wanted: str) -> list[Path]:
    return [path for path in files if wanted.casefold() in _title(path).casefold()]


def _queue_of_folder(files: list[Path], matches: list[Path]) -> Queue:
    first = matches[0]
    siblings = [path for path in files if path.parent == first.parent]
    tracks = tuple(Track(_title(path), str(path)) for path in siblings)
    return Queue(tracks, siblings.index(first))
