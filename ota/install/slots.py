"""The ``slots`` installer: versioned release folders, and an atomic switch between them.

STATE/slots holds ``releases/<version>/{release.json,package.json,signed/…,lib/…}``, ``boot.json`` (see
`ota.launch.boot`) and ``current``. A folder with its final name is complete and durable; unfinished work
is in ``.unpack`` and removed. All methods block and may be repeated after a crash.
"""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from base.files import fsync_path, fsync_tree, make_folder, write_atomically
from ota.errors import StoppedError
from ota.install.installer import DEFAULT_LIMITS, Progress, Standing, UnpackLimits
from ota.launch import boot
from ota.launch.boot import BootRecord, BootRecordError
from ota.launch.signed import HASH_NAME, find_difference, has_proof, keep_proof
from ota.space import free_bytes, no_space
from ota.trust.target import Target

# Bytes that an installation leaves free: boot.json, task.json and the outbox must still fit.
RESERVE_BYTES = 4 * 2**20
# Seconds between two checks for a stop, while an installation waits for an earlier, stopped one.
TICK = 0.2


class SlotInstaller:
    """Installs, activates, confirms and rolls back releases under ``state_dir``/slots."""

    needs_reboot = False

    def __init__(
        self,
        state_dir: Path,
        limits: UnpackLimits = DEFAULT_LIMITS,
        free_space: Callable[[Path], int] = free_bytes,
    ) -> None:
        """Use ``state_dir`` and ``limits``; ``free_space`` returns a folder's free disk bytes."""
        self._state_dir = state_dir
        self._limits = limits
        self._free_space = free_space
        self._releases = boot.slots_folder(state_dir) / "releases"
        self._temp = self._releases / ".unpack"
        self._needs = RESERVE_BYTES
        self._installing = threading.Lock()

    def install(
        self, package: Path, target: Target, stop: threading.Event, progress: Progress
    ) -> None:
        """Unpack a package whose bytes were verified; the version that starts next is unchanged.

        Args:
            package: the package file.
            target: the signed entry, which release.json must match.
            stop: ends the work with StoppedError.
            progress: called with (bytes of the package read, its size).

        Raises:
            ContentError: the package is refused; the message names the failed check.
            NoSpaceError: the disk is too small.
            OSError: the disk failed.
        """
        final = boot.release_folder(self._state_dir, target.version)
        if _is_installed(final, package, target):
            progress(target.length, target.length)
            return
        self._needs = target.length + RESERVE_BYTES
        with self._alone(stop), self._telling_what_is_full():
            self._put_in_place(final, package, target, stop, progress)
        progress(target.length, target.length)

    @contextmanager
    def _telling_what_is_full(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            has = self._free_space(self._state_dir)
            raise no_space(self._state_dir, self._needs, has, error) from error

    @contextmanager
    def _alone(self, stop: threading.Event) -> Iterator[None]:
        """Wait for an installation that was stopped and abandoned, but still writes files."""
        while not self._installing.acquire(timeout=TICK):
            if stop.is_set():
                raise StoppedError("stopped before unpacking")
        try:
            yield
        finally:
            self._installing.release()

    def _put_in_place(
        self,
        final: Path,
        package: Path,
        target: Target,
        stop: threading.Event,
        progress: Progress,
    ) -> None:
        make_folder(self._releases)
        self._remove(self._temp)
        try:
            with self._telling_what_is_full():  # before the files are removed, which makes room
                self._unpack(package, target, stop, progress)
                fsync_tree(self._temp)
            if stop.is_set():
                raise StoppedError("stopped after unpacking")
            self._remove(final)
            self._temp.rename(final)
            fsync_path(self._releases)
        finally:
            self._remove(self._temp)

    def _unpack(
        self, package: Path, target: Target, stop: threading.Event, progress: Progress
    ) -> None:
        from ota.install.unpack import unpack  # noqa: PLC0415  # only an update needs it

        unpack(
            package,
            target,
            self._temp,
            limits=self._limits,
            admit=lambda unpacked: self._check_space(target.length, unpacked),
            stop=stop,
            progress=progress,
        )
        text = json.dumps({"sha256": target.sha256})
        write_atomically(self._temp / HASH_NAME, text.encode())
        keep_proof(self._temp, package, self._state_dir / "ota" / "metadata")

    def _check_space(self, package: int, unpacked: int) -> None:
        self._needs = package + unpacked + RESERVE_BYTES
        has = self._free_space(self._releases)
        if self._needs > has:
            raise no_space(self._releases, self._needs, has)

    def activate(self, version: str, transaction: str) -> None:
        """Make an installed version start next, on trial for the update ``transaction``."""
        boot.store(self._state_dir, self._record().activated(version, transaction))

    def confirm(self) -> None:
        """End the trial and keep the active version.

        A record that cannot be read stays as it is, so that the next start finds it and repairs it: one that names
        no version would be the base for good.
        """
        record = self._record()
        if record.trial is not None:
            boot.store(self._state_dir, record.confirmed())

    def roll_back(self, reason: str) -> None:
        """Make the previous version, or else the base install, start next."""
        record = self._record()
        if record.trial is not None:
            boot.store(self._state_dir, record.rolled_back(reason))

    def standing(self) -> Standing:
        """Return the trial and the last roll-back of boot.json, or that it cannot be read.

        The other facts cannot be: `launch` counts the starts, never starts a version that was
        rolled back, and starts no release without boot.json. One that somebody has removed is not
        lost: so the base is gone back to by hand (docs/ota.md).
        """
        try:
            record = boot.load(self._state_dir)
        except (BootRecordError, UnicodeDecodeError, OSError):
            return Standing(record_lost=True)
        return Standing(record.trial, record.last_rollback)

    def examine(self, version: str) -> list[str]:
        """Return what a release writes that cannot be imported; not one whose files were changed."""
        folder = boot.release_folder(self._state_dir, version)
        rollback = self._record().last_rollback
        if rollback is None or rollback.damaged or not (folder / "lib").is_dir():
            return []
        from ota.launch.probe import examine  # noqa: PLC0415  # only a failed version is

        return examine(folder.absolute() / "lib", version)

    def collect(self, running: str) -> None:
        """Remove every release except the active, the previous and the ``running`` one."""
        try:
            record = boot.load(self._state_dir)
        except (BootRecordError, UnicodeDecodeError):
            return  # a person who repairs the record may still need any release
        keep = {record.active, record.previous, running}
        if self._releases.is_dir():
            for folder in self._releases.iterdir():
                if folder.name not in keep:
                    self._remove(folder)

    def _record(self) -> BootRecord:
        """Return boot.json; an unreadable one counts as the base, as in `launch`, which logs it."""
        try:
            return boot.load(self._state_dir)
        except (BootRecordError, UnicodeDecodeError, OSError):
            return BootRecord()

    @staticmethod
    def _remove(path: Path) -> None:
        import shutil  # noqa: PLC0415  # it loads archives' formats, which no start needs

        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            # Rename first, so that a folder with a release's name is always complete.
            doomed = path.with_name(".removed")
            if doomed != path:
                shutil.rmtree(doomed, ignore_errors=True)
                path.rename(doomed)
            shutil.rmtree(doomed)


def _is_installed(final: Path, package: Path, target: Target) -> bool:
    """Return whether a release is there as it was unpacked: what was damaged since is unpacked again."""
    if _package_hash(final) != target.sha256 or not has_proof(final):
        return False
    return find_difference(final, target.version, package) is None


def _package_hash(folder: Path) -> object:
    try:
        return json.loads((folder / HASH_NAME).read_text("utf-8"))["sha256"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):  # missing or damaged
        return None
