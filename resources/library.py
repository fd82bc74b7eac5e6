"""What the machine can play: the audio files in its media folder, and http(s) URLs.

A title is a file's name without its extension; a folder's name stands for all files in it. No name
or link can select a file outside the media folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from machine.errors import RefusedError, UnavailableError
from wire.errors import show

AUDIO_ENDINGS = frozenset({".mp3", ".m4a", ".aac", ".ogg", ".opus", ".flac", ".wav"})
# A card full of songs; even a Pi lists that many in well under a second.
TRACK_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Track:
    """Something to play: its title, and its path or URL for the player."""

    title: str
    source: str


@dataclass(frozen=True, slots=True)
class Queue:
    """An ordered list of tracks; ``index`` is the current one."""

    tracks: tuple[Track, ...] = ()
    index: int = 0

    @property
    def current(self) -> Track | None:
        """The current track, None in an empty queue."""
        return self.tracks[self.index] if self.tracks else None

    def move(self, step: int) -> Queue | None:
        """Return the queue moved by ``step`` tracks, None past either end."""
        index = self.index + step
        return Queue(self.tracks, index) if 0 <= index < len(self.tracks) else None


class Library:
    """Looks up titles in the media folder, which is read each time because the card may change."""

    def __init__(self, folder: Path) -> None:
        """Look in the media folder ``folder``, which need not exist."""
        self._folder = folder

    def find(self, wanted: str) -> Queue:
        """Return the queue for a title, a folder's name or an http(s) URL.

        The queue of a title is its whole folder, starting at the title.

        Raises:
            RefusedError: nothing has that name.
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
        """Return all titles, sorted by path."""
        return [_title(path) for path in self._files()]

    def _files(self) -> list[Path]:
        # A symbolic link on the card must not lead out of the folder. os.path.realpath, because
        # Path.resolve raises RuntimeError for a link to itself.
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
    """Return a file's title; bytes that are not UTF-8 (old cards) become replacement characters."""
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
