"""Looks into a file before it is played: a playlist that bears a song's name must not be.

The player would follow it, and open files outside the media folder and any address.
"""

from __future__ import annotations

import os
import stat

from machine.errors import RefusedError
from wire.errors import show
from wire.media import HEAD_SIZE, find_list, tag_size

# ID3 tags before a file's content; a second one is rare.
_TAGS_LIMIT = 8


def check_sound(path: str) -> None:
    """Check that a file may be sound; reads 4 KiB, after its tags, so call it in a thread.

    Raises:
        RefusedError: it is a list, text, an archive or empty, or cannot be read.
    """
    name = show(os.fsencode(os.path.basename(path)))  # noqa: PTH119  # its name need not be UTF-8
    try:
        found = find_list(_head(path))
    except OSError as error:
        raise RefusedError(f"play: {name} cannot be read: {error.strerror}") from error
    if found is not None:
        raise RefusedError(f"play: {name} cannot be played: its content is {found}, expected sound")


def _head(path: str) -> bytes:
    """Return the beginning of a file's content after its ID3 tags."""
    # A FIFO that took the file's place would block the opening.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no file")
        if not status.st_size:
            raise OSError(0, "it is empty")
        head, place = os.pread(descriptor, HEAD_SIZE, 0), 0
        for _ in range(_TAGS_LIMIT):
            size = tag_size(head)
            if not size:
                break
            place += size
            head = os.pread(descriptor, HEAD_SIZE, place)
        return head
    finally:
        os.close(descriptor)
