"""Keeps the titles of the media folder as they are now; cards are filled and swapped at any time.

A folder is read anew when inotify tells that it changed. Where the kernel grants no watch, it is read
when its times changed. When anything is mounted or unmounted all are, because a card of the same kind
has the same device number and may have the same inodes and times.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from machine.folder_watch import FolderWatch, MountWatch
from resources.titles.listing import Listing, folder_times, list_folder
from resources.titles.title_index import Folder, TitleIndex, in_order, make_folder
from wire.records import dataclass

# Titles; each takes about 200 bytes, and the largest cards for children hold 50,000.
TITLES_LIMIT = 100_000
# Folders; each that is watched also takes about 1 KiB of the kernel's memory.
FOLDERS_LIMIT = 20_000
# Nanoseconds. Times on a FAT card have a step of 2 s: of two changes within it only one shows.
TIME_STEP = 3 * 10**9

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Node:
    """A folder as it was read last; ``children`` are the paths of its subfolders.

    ``times`` are those of `folder_times`. Without a watch (None) the times tell of a change, unless
    the folder is not ``settled``. ``error`` is why it could not be read.
    """

    folder: Folder
    times: tuple[int, ...]
    watch: int | None
    settled: bool
    children: tuple[bytes, ...] = ()
    error: OSError | None = None


class MediaFolder:
    """Reads titles below one folder; its methods wait for the card, so call them in a thread."""

    def __init__(self, folder: Path) -> None:
        """Read nothing yet; ``folder`` need not exist."""
        self._folder = folder
        self._lock = threading.Lock()
        self._root = b""
        self._nodes: dict[bytes, _Node] = {}
        self._paths: dict[int, bytes] = {}
        self._unwatched: set[bytes] = set()
        self._count = 0
        self._left_out = False
        self._watch: FolderWatch | None = None
        self._mounts: MountWatch | None = None
        self._mounted: list[bytes] = []
        self._closing = False
        self._index = TitleIndex(b"", ())

    def index(self, *, again: bool = False) -> TitleIndex:
        """Return all titles as they are now, none if there is no media folder.

        ``again`` also tries folders that could not be read before.

        Raises:
            OSError: the media folder itself cannot be read.
        """
        with self._lock:
            if self._refresh(again=again):
                self._index = TitleIndex(self._root, (node.folder for node in self._nodes.values()))
            return self._index

    def unreadable(self) -> OSError | None:
        """Return why a folder could not be read, None if all were; one without permission is none."""
        with self._lock:
            errors = (node.error for node in self._nodes.values())
            return next((e for e in errors if e and not isinstance(e, PermissionError)), None)

    def close(self) -> None:
        """Watch no longer, and end a reading that has begun; the next `index` begins anew."""
        self._closing = True
        with self._lock:
            self._forget()
            self._closing = False

    # What changed.

    def _refresh(self, *, again: bool) -> bool:
        """Read what changed; returns whether anything did."""
        root = os.fsencode(os.path.realpath(self._folder))
        times, top, changed = folder_times(root), self._nodes.get(b""), self._changed()
        if not times:
            self._forget()
            return top is not None
        if changed is None or top is None or root != self._root or top.times[:2] != times[:2]:
            self._read_all(root)
            return True
        if again:
            changed |= {path for path, node in self._nodes.items() if node.error}
        # All that went is dropped before what came is read: a folder that was moved is both, and has
        # one watch.
        came = [path for old in sorted(changed) for path in self._read_again(old)]
        self._read_tree(came)
        if changed and self._left_out:  # what is left out must be the last in order
            self._read_all(root)
        return bool(changed)

    def _changed(self) -> set[bytes] | None:
        """Return the paths of the folders that changed; None: all may have."""
        if self._is_other_card():
            return None
        numbers = self._watch.changes() if self._watch is not None else set()
        if numbers is None:
            return None
        told = {self._paths[number] for number in numbers if number in self._paths}
        return told | {path for path in self._unwatched if self._is_changed(self._nodes[path])}

    def _is_other_card(self) -> bool:
        """Return whether something was mounted or unmounted that may concern the media folder.

        What was unmounted and mounted again is told by its watches. A folder without one may have
        been in it, so then every change of the mount table counts.
        """
        if self._mounts is None or not self._mounts.changed():
            return False
        before, self._mounted = self._mounted, MountWatch.around(self._root)
        return bool(self._unwatched) or self._mounted != before

    def _is_changed(self, node: _Node) -> bool:
        try:
            return not node.settled or folder_times(self._full(node.folder.path)) != node.times
        except OSError:
            return node.error is None

    # Reading.

    def _read_all(self, root: bytes) -> None:
        self._forget()
        self._root = root
        self._begin_to_watch()
        self._read_tree([b""])
        top = self._nodes.get(b"")
        if top is not None and top.error is not None:
            self._forget()
            raise top.error

    def _read_tree(self, tops: Iterable[bytes]) -> None:
        """Read folders and all below them, in order, so that a limit leaves out the last ones."""
        waiting = [*tops][::-1]
        while waiting and not self._closing:
            if len(self._nodes) >= FOLDERS_LIMIT:
                self._leave_out(f"{FOLDERS_LIMIT} folders")
                return
            path = waiting.pop()
            self._drop(path)
            node, _ = self._read(path)
            self._keep(node)
            waiting += reversed(node.children)

    def _read_again(self, path: bytes) -> list[bytes]:
        """Read a folder that changed; returns the paths of folders that came or were replaced."""
        old = self._nodes.get(path)
        if old is None:  # it went with the folder above it
            return []
        node, listing = self._read(path, old)
        if isinstance(node.error, FileNotFoundError) and path:
            self._drop(path)
            return []
        if node.error is not None and not path:
            self._forget()
            raise node.error
        for child in old.children:
            name = child.rpartition(b"/")[2]
            if child in self._nodes and self._nodes[child].times[:2] != listing.folders.get(name):
                self._drop(child)
        self._keep(node)
        known = self._nodes
        return [c for c in node.children if c not in known or known[c].error is not None]

    def _read(self, path: bytes, old: _Node | None = None) -> tuple[_Node, Listing]:
        full = self._full(path)
        # Before it is read, so that no change falls between the two.
        watch = self._add_watch(path)
        listing = Listing()
        times: tuple[int, ...] = ()
        error: OSError | None = None
        try:
            times = folder_times(full)
            listing = list_folder(full, self._root)
        except OSError as caught:
            error = caught
            if not isinstance(caught, FileNotFoundError):
                _log.warning("media: %s cannot be read: %s", os.fsdecode(full), caught.strerror)
        room = TITLES_LIMIT - self._count + (old.folder.count if old else 0)
        folder = make_folder(path, listing.sounds, room)
        if folder.count < len(listing.sounds):
            self._leave_out(f"{TITLES_LIMIT} titles")
        prefix = path + b"/" if path else b""
        children = tuple(prefix + name for name in in_order(listing.folders))
        settled = not listing.has_empty and not _is_recent(times)
        return _Node(folder, times, watch, settled, children, error), listing

    def _full(self, path: bytes) -> bytes:
        return self._root.rstrip(b"/") + b"/" + path if path else self._root

    def _leave_out(self, limit: str) -> None:
        if not self._left_out:
            _log.warning("media: more than %s: the last ones are no titles", limit)
        self._left_out = True

    # The folders that are known.

    def _keep(self, node: _Node) -> None:
        path = node.folder.path
        old = self._nodes.get(path)
        if old is not None:
            self._count -= old.folder.count
            if old.watch != node.watch:
                self._end_watch(old)
        self._nodes[path] = node
        self._count += node.folder.count
        if node.watch is None:
            self._unwatched.add(path)
        else:
            self._paths[node.watch] = path
            self._unwatched.discard(path)

    def _drop(self, path: bytes) -> None:
        """Forget a folder and all below it, if it is known."""
        waiting = [path]
        while waiting:
            node = self._nodes.pop(waiting.pop(), None)
            if node is not None:
                self._count -= node.folder.count
                self._unwatched.discard(node.folder.path)
                self._end_watch(node)
                waiting += node.children

    def _forget(self) -> None:
        """Forget everything and end all watches."""
        for watch in (self._watch, self._mounts):
            if watch is not None:
                watch.close()
        self._watch = self._mounts = None
        self._nodes, self._paths, self._unwatched = {}, {}, set()
        self._count, self._left_out = 0, False

    # Watches.

    def _begin_to_watch(self) -> None:
        try:
            self._mounts = MountWatch()
            self._mounted = MountWatch.around(self._root)
            self._watch = FolderWatch()
        except OSError as error:
            _log.warning("media: the kernel grants no watch: %s", error.strerror)

    def _add_watch(self, path: bytes) -> int | None:
        if self._watch is None:
            return None
        try:
            number = self._watch.add(self._full(path))
        except OSError as error:
            if error.errno == errno.ENOSPC:
                _log.info("media: no watch is left for %s", os.fsdecode(path))
            return None
        # One folder under two paths (a bind mount) has one watch, which tells of one path only.
        return number if self._paths.get(number, path) == path else None

    def _end_watch(self, node: _Node) -> None:
        if node.watch is not None:
            del self._paths[node.watch]
            if self._watch is not None:
                self._watch.remove(node.watch)


def _is_recent(times: tuple[int, ...]) -> bool:
    """Return whether another change may still get the same time; a time in the future is settled."""
    return bool(times) and 0 <= time.time_ns() - times[2] < TIME_STEP
