"""The files of a simulated world's cloud, of which one bit is another one when the power comes back or while it runs, and what it makes of that.

It starts and serves, or refuses with an error that says what is wrong. An operator puts the file back after a while, or at
once where the cloud does not start. What only a damaged store held may be gone; of all other files nothing may be.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import text

from base.files import write_atomically
from ota.errors import FetchError
from staging.releases.stock import Stock
from staging.store import Database
from staging.store.mark import State
from tools.sim.calls import Mount
from tools.sim.disk import File, Left, flip_bit
from tools.sim.rotting import rot_one

STORE = "cloud.sqlite"
TUF, TARGETS = "/tuf/", "targets/"
# What SQLite says of a file without damage.
SOUND = "ok"
# What a cloud that has no room to read its store must say (docs/staging.md).
NO_ROOM = "free space on the disk"
# How often a bit of the store's own file is another one, of all that are of the store.
STORE_PART = 0.4
# How often it is, while the cloud runs, in the first byte of a page: others are mostly of what has gone, or another value.
HEADS_PART = 0.7
# Of SQLite's pages, its log, and their frames there.
PAGE_BYTES, LOG_HEAD_BYTES, FRAME_HEAD_BYTES = 4096, 32, 24
# Frames at the log's end: their pages are the ones that are read next.
NEWEST = 8
# Seconds until an operator puts a file back: of a cloud that does not start, and of one that runs.
REFUSED_SECONDS, NOTICED_SECONDS = 30.0, 240.0
# What was compared once is compared again after six hours at the latest, also without a trace of a change.
SEEN_SECONDS = 6.1 * 3600


class CloudFiles:
    """What became of them."""

    def __init__(self, note: Callable[[str], None]) -> None:
        """Have none that is damaged; ``note`` takes lines of the trace."""
        self._note = note
        self.clock: Callable[[], float] = lambda: 0.0
        self.wanted: float | None = None
        """Which bit is another one when the power comes back, from 0 to 1; None: all are as they were."""
        self.path = ""
        """The file that is damaged now; "": none."""
        self.damaged: set[str] = set()
        """Those that were."""
        self.refusals: list[str] = []
        """Why the cloud did not start."""
        self.broken: list[str] = []
        self.stock: Stock | None = None
        """What the present start of the cloud knows of its packages; None: it does not run."""
        self.refused_packages = 0
        self._unseen: Stock | None = None
        """Who compared the damaged package before it was damaged, without a trace of that."""
        self._unseen_since = 0.0
        self._saved: dict[str, bytes] = {}
        self._mark = b""
        """The store's mark; it is not synced, so that a power cut may leave one of before."""
        self._flipped = b""
        self._was_back = ""

    @property
    def is_store(self) -> bool:
        """Whether the file that is damaged is of the store."""
        return self.path.startswith(f"/{STORE}")

    @property
    def has_spoilt_store(self) -> bool:
        """Whether the store was ever damaged: nobody knows what it held."""
        return any(path.startswith(f"/{STORE}") for path in self.damaged)

    def spoil(self, left: Left) -> None:
        """Change a bit of what a cut has left, if one is wanted and no file is damaged."""
        chance, self.wanted = self.wanted, None
        self._mark = left.files.get(f"/{STORE}-mark", b"")
        if chance is None or self.path:
            return
        self._saved = dict(left.files)
        self.path = _flip(left, chance)
        if self.path:
            self._flipped = left.files[self.path]
            self.damaged.add(self.path)
            self._note(f"cloud: a bit of {self.path} is another one")

    def rot(self, mount: Mount, chance: float) -> None:
        """Change a bit of a file that is not of the store while the cloud runs, every second time of a package, if none is damaged."""
        if self.path or self.stock is None:
            return
        is_package, rest = chance < 0.5, chance * 2 % 1
        before = {path: Path(mount.root + path).read_bytes() for path in _files_of(mount)}
        path = rot_one(mount, rest, lambda path: path in before and _is_package(path) is is_package)
        if path is None:
            return
        self.path, self._saved = path, {path: before[path]}
        self._flipped = Path(mount.root + path).read_bytes()
        self._unseen, self._unseen_since = self.stock, self.clock()
        self.damaged.add(path)
        self._note(f"cloud: a bit of {path} is another one, as it runs")

    def rot_store(self, mount: Mount, chance: float) -> None:
        """Change a bit of the store or its log while the cloud runs, if no file is damaged: all of it may be put back as it is now."""
        if self.path or self.stock is None:
            return
        saved = {
            path: Path(mount.root + path).read_bytes()
            for path, node in mount.disk.walk()
            if isinstance(node, File) and path.startswith(f"/{STORE}")
        }
        name = f"/{STORE}" if chance < STORE_PART else f"/{STORE}-wal"
        aim = (at_a_head,) if chance * 1000 % 1 < HEADS_PART else ()
        path = rot_one(mount, chance * 10 % 1, lambda path: path == name, *aim)
        if path is not None:
            self.path, self._saved = path, saved
            self._mark = saved.get(f"/{STORE}-mark", b"")
            self.damaged.add(path)
            self._note(f"cloud: a bit of {path} is another one, as it runs")

    def look(self, database: Database) -> None:
        """Look whether a store that was opened with a damaged file is whole, and has all that its mark says."""
        if not self.is_store or self.path.endswith("-mark"):
            return
        own: Any = database
        with own._session() as session:  # noqa: SLF001  # `read` would take its place among the cloud's own
            sound = str(session.execute(text("PRAGMA quick_check(1)")).scalar_one())
            found = int(session.execute(text("PRAGMA user_version")).scalar_one())
        if sound != SOUND:
            self.broken.append(f"a store was opened that is damaged: {sound}")
        noted = self._mark.split()
        if len(noted) == len(State._fields) and found < int(noted[1], 16):
            lacks = int(noted[1], 16) - found
            self.broken.append(f"a store was opened that lacks its last {lacks} transactions")

    def refuse(self, why: str) -> None:
        """Note that the cloud does not start, and says why."""
        self.refusals.append(why)
        self._note(f"cloud: does not start: {why[-160:]}")

    def refuse_for_room(self, why: str) -> None:
        """Note that the cloud does not start on a full disk, and says what is to be done."""
        self._note(f"cloud: does not start: {why[-160:]}")
        if NO_ROOM not in why:
            self.broken.append(f"a cloud on a full disk does not start, and says: {why[-100:]}")

    def restore(self, left: Left) -> None:
        """Put the damaged store back as it was when it was damaged, with its log, into ``left``."""
        for path in [path for path in left.files if path.startswith(f"/{STORE}")]:
            del left.files[path]
        for path, data in self._saved.items():
            if path.startswith(f"/{STORE}"):
                left.files[path] = data
                left.modes.setdefault(path, 0o600)
        self._end()

    def put_in(self, left: Left) -> None:
        """Put the damaged file, which is not of the store, into ``left`` as it was."""
        if left.files.get(self.path) == self._flipped:
            left.files[self.path] = self._saved[self.path]
        self._end()

    def write_back(self, folder: Path) -> None:
        """Put the damaged file back, which is not of the store, below the cloud's folder."""
        path = folder / self.path.removeprefix("/")
        if (
            path.exists() and path.read_bytes() == self._flipped
        ):  # else the cloud has written it anew
            write_atomically(path, self._saved[self.path])
        self._end()

    def _end(self) -> None:
        self._note(f"cloud: {self.path} is put back")
        self._unseen = None
        self._was_back, self.path = self.path, ""

    def serve(self, path: str, data: bytes) -> bytes | None:
        """Return what the cloud's disk has of a file of its repository; None: it is not served, as it is not the signed one.

        A package is looked at by the product's own `Stock`, as `staging.api.app` does. Raises FetchError: the cloud is away.
        """
        if path.startswith(TARGETS) and TUF + path in {self.path, self._was_back}:
            return self._serve_package(path, data)
        return self._flipped if self.path == TUF + path else data

    def _serve_package(self, path: str, data: bytes) -> bytes | None:
        if self.stock is None:
            raise FetchError(f"{path}: connection refused")
        is_bad = self.path == TUF + path
        fault = self.stock.fault(path.removeprefix(TARGETS))
        if fault is None:
            is_unseen = (
                self._unseen is self.stock and self.clock() - self._unseen_since < SEEN_SECONDS
            )
            if is_bad and not is_unseen:
                self.broken.append(f"{path} is served, and is not the signed one")
            return self._flipped if is_bad else data
        if not is_bad:
            self.broken.append(f"{path} is the signed one again, and is not served: {fault}")
        self.refused_packages += 1
        return None


def at_a_head(path: str, at: int, size: int) -> int:
    """Return the byte that says what a page is, in the place of any one in the store, or of one of the newest frames of its log."""
    if not path.endswith("-wal"):
        return at - at % PAGE_BYTES
    frames = max(1, (size - LOG_HEAD_BYTES) // (FRAME_HEAD_BYTES + PAGE_BYTES))
    frame = frames - 1 - at % min(frames, NEWEST)
    return LOG_HEAD_BYTES + frame * (FRAME_HEAD_BYTES + PAGE_BYTES) + FRAME_HEAD_BYTES


def _is_package(path: str) -> bool:
    return path.startswith(TUF + TARGETS)


def _files_of(mount: Mount) -> list[str]:
    """Return the paths of a cloud's files that are not of its store."""
    return [
        path
        for path, node in mount.disk.walk()
        if isinstance(node, File)
        and not path.startswith(f"/{STORE}")
        and mount.disk.find(PurePosixPath(path[1:])) is node
    ]


def _flip(left: Left, chance: float) -> str:
    """Change a bit of a file: every second time of the store, else of a package or of all others; return its path."""
    kinds: list[list[str]] = [[], [], []]
    for path in left.files:
        kinds[0 if path.startswith(f"/{STORE}") else 1 if _is_package(path) else 2].append(path)
    kind, rest = divmod(4 * chance, 1)
    some = Left({path: left.files[path] for path in kinds[max(0, int(kind) % 4 - 1)]}, [], {}, {})
    path = flip_bit(some, rest)
    if path:
        left.files[path] = some.files[path]
    return path
