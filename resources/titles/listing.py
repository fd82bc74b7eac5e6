"""Reads one folder of a card: which of its entries are titles, and which are folders to look into.

No title are hidden files (among them the ``._`` files that macOS leaves beside each song), empty files,
what is no file, and links that lead out of the media folder. Hidden folders and those of an operating
system are not looked into. Links to folders are not followed, so no loop of links is ever walked.
"""

from __future__ import annotations

import os
import stat
from dataclasses import field

from wire.media import SOUND_ENDINGS
from wire.records import dataclass

# In lower case: trash, indexes and found fragments of Windows, Linux, Android, macOS and a NAS.
SYSTEM_FOLDERS = frozenset(
    {b"$recycle.bin", b"recycler", b"system volume information", b"lost+found", b"lost.dir",
     b"found.000", b"__macosx", b"@eadir", b"#recycle"}
)  # fmt: skip
_ENDINGS = frozenset(ending.encode() for ending in SOUND_ENDINGS)
_HIDDEN = b"."


@dataclass(slots=True)
class Listing:
    """What stands in a folder.

    ``sounds`` are the file names of its titles; ``folders`` its folders with their device and inode;
    ``has_empty`` tells of an empty file that may be filled without the folder's times changing.
    """

    sounds: list[bytes] = field(default_factory=list)
    folders: dict[bytes, tuple[int, ...]] = field(default_factory=dict)
    has_empty: bool = False


def list_folder(path: bytes, root: bytes) -> Listing:
    """Read the folder ``path`` of the media folder ``root``, both without links.

    Raises:
        OSError: the folder cannot be read. An entry that cannot be is left out.
    """
    listing = Listing()
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _add_folder(listing, entry)
            elif is_sound_name(entry.name):
                _add_sound(listing, entry, root)
    return listing


def is_sound_name(name: bytes) -> bool:
    """Return whether a file of this name is a title."""
    stem, _, ending = name.rpartition(b".")
    return bool(stem) and not name.startswith(_HIDDEN) and ending.lower() in _ENDINGS


def is_searched(folder: bytes) -> bool:
    """Return whether a folder of this name is looked into."""
    return not folder.startswith(_HIDDEN) and folder.lower() not in SYSTEM_FOLDERS


def folder_times(path: bytes) -> tuple[int, ...]:
    """Return device, inode and the times of change (ns) of a folder; () if it has gone.

    Raises:
        OSError: it cannot be read.
    """
    try:
        status = os.stat(path)  # noqa: PTH116  # bytes, which a Path cannot hold
    except FileNotFoundError:
        return ()
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _add_folder(listing: Listing, entry: os.DirEntry[bytes]) -> None:
    if is_searched(entry.name):
        # Not DirEntry.inode(): where a card is mounted, that is the folder under it.
        try:
            listing.folders[entry.name] = folder_times(entry.path)[:2]
        except OSError:  # it is told when the folder itself is read
            listing.folders[entry.name] = ()


def _add_sound(listing: Listing, entry: os.DirEntry[bytes], root: bytes) -> None:
    try:
        linked = entry.is_symlink()
        status = entry.stat()
    except OSError:  # a link that leads nowhere or to itself; a file that has just gone
        return
    if not stat.S_ISREG(status.st_mode) or (linked and not _is_inside(entry.path, root)):
        return
    if status.st_size:
        listing.sounds.append(entry.name)
    else:
        listing.has_empty = True


def _is_inside(path: bytes, root: bytes) -> bool:
    return os.path.realpath(path).startswith(root.rstrip(b"/") + b"/")
