"""The on-disk metadata of a release repository: published roles and staged ones.

Clients read ``metadata/``. timestamp.json names the snapshot, which names all other files, so a
crash while the files of a new state are written leaves the old state intact. ``staged/`` holds the
next version of each role that still lacks signatures; a web server must not serve it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError

from base.files import fsync_path, make_folder, write_atomically
from release.errors import ReleaseToolError
from release.roles import Roles, missing
from release.tuf_types import Metadata, Root, Signed, Snapshot, Targets, Timestamp

# Seconds that a second writer waits for the first; the longest operation, `add`, copies one
# package.
LOCK_TIMEOUT = 60.0


class MetadataStore:
    """Reads and writes the metadata files of one repository folder."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``/metadata and ``folder``/staged."""
        self.folder = folder
        self.metadata_dir = folder / "metadata"
        self.staged_dir = folder / "staged"

    def published(self) -> Roles:
        """Read the published metadata, by role: the four top-level roles and each product's.

        Raises:
            ReleaseToolError: a file is missing, or its content is of another type than its name.
        """
        timestamp = self._load(Timestamp, "timestamp.json")
        snapshot = self._load(Snapshot, f"{timestamp.signed.snapshot_meta.version}.snapshot.json")
        root = self._load(Root, "root.json")
        roles: Roles = {"root": root, "timestamp": timestamp, "snapshot": snapshot}
        for name, meta in snapshot.signed.meta.items():
            roles[name.removesuffix(".json")] = self._load(Targets, f"{meta.version}.{name}")
        if "targets" not in roles:
            raise ReleaseToolError(f"{self.metadata_dir}: the snapshot names no targets.json")
        return roles

    def staged(self) -> Roles:
        """Read the staged metadata, by role."""
        if not self.staged_dir.is_dir():
            return {}
        return {
            path.stem: self._read(Root if path.stem == "root" else Targets, path)
            for path in sorted(self.staged_dir.glob("*.json"))
        }

    def stage(self, roles: Roles) -> None:
        """Store the next versions of roles until they are signed.

        Delegators are written last. If the process is killed between two files, no staged role
        delegates to a role without content, and no staged root lacks the roles that go with it.
        """
        if roles:
            make_folder(self.staged_dir)
        last = [role for role in ("targets", "root") if role in roles]
        for role in (*(role for role in roles if role not in last), *last):
            write_atomically(self.staged_dir / f"{role}.json", roles[role].to_bytes())

    def unstage(self, role: str) -> None:
        """Remove the staged version of a role, after it is published."""
        (self.staged_dir / f"{role}.json").unlink(missing_ok=True)

    def write(self, changed: Mapping[str, Metadata[Any]]) -> None:
        """Publish roles so that clients see a valid state at any time: each after what it names."""
        rest = [role for role in changed if role not in {"snapshot", "root", "timestamp"}]
        for role in (*rest, "snapshot", "root", "timestamp"):
            metadata = changed.get(role)
            if metadata is None:
                continue
            data = metadata.to_bytes()
            if role != "timestamp":
                name = f"{metadata.signed.version}.{role}.json"
                write_atomically(self.metadata_dir / name, data)
            if role == "timestamp":
                write_atomically(self.metadata_dir / "timestamp.json", data)
        if "root" in changed:  # last: a retry after a crash before this starts from the old root
            write_atomically(self.metadata_dir / "root.json", changed["root"].to_bytes())

    def has_history(self) -> bool:
        """Return whether there is more here than an interrupted first publication."""
        first = {f"1.{role}.json" for role in ("root", "targets", "snapshot")} | {"timestamp.json"}
        return any(path.name not in first for path in self.metadata_dir.glob("*.json"))

    def next_root(self, published: Roles) -> Metadata[Any] | None:
        """Return the root after ``published``'s if clients can already fetch it, else None."""
        name = f"{published['root'].signed.version + 1}.root.json"
        return self._load(Root, name) if (self.metadata_dir / name).exists() else None

    def check_roots(self, version: int) -> None:
        """Verify the chain of roots from the first to ``version``, as a long-offline machine does.

        Raises:
            ReleaseToolError: one is missing or not signed by its predecessor, or there is a newer
                one, from an interrupted change of keys.
        """
        before: Root | None = None
        for number in range(1, version + 1):
            root = self._load(Root, f"{number}.root.json")
            name = f"{number}.root.json"
            if before is None and root.signed.version != number:
                raise ReleaseToolError(f"{name}: is version {root.signed.version}, expected 1")
            if (why := missing("root", {"root": root}, before)) is not None:
                raise ReleaseToolError(f"{name}: {why}")
            before = root.signed
        if (self.metadata_dir / f"{version + 1}.root.json").exists():
            raise ReleaseToolError(
                f"{version + 1}.root.json: is out before what belongs to it: run publish again"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the repository against changes by other commands; raises ReleaseToolError."""
        if not self.folder.is_dir():
            raise ReleaseToolError(f"{self.folder}: no such folder (run init first?)")
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor, self.folder)
            yield
            fsync_path(self.folder)
        finally:
            os.close(descriptor)  # also unlocks

    def _load(self, kind: type[Signed], name: str) -> Metadata[Any]:
        return self._read(kind, self.metadata_dir / name)

    @staticmethod
    def _read(kind: type[Signed], path: Path) -> Metadata[Any]:
        try:
            metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
            _ = metadata.signed_bytes  # fails for a float, which parses but has no canonical form
        except FileNotFoundError as error:
            raise ReleaseToolError(f"{path}: not there (run init first?)") from error
        except RepositoryError as error:
            raise ReleaseToolError(f"{path}: not TUF metadata ({error})") from error
        if not isinstance(metadata.signed, kind):
            raise ReleaseToolError(f"{path}: is {metadata.signed.type}, expected {kind.type}")
        return metadata


def _lock(descriptor: int, folder: Path) -> None:
    end = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise ReleaseToolError(f"{folder}: another command is changing it") from error
            time.sleep(0.1)  # flock has no timeout
        else:
            return
