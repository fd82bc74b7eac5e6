"""The ``slots`` installer: versioned release folders, and one atomic switch between them.

STATE/slots holds ``releases/<version>/{release.json,package.json,lib/…}``, ``boot.json`` (see
`ota.boot`) and ``current``. A folder under its final name is complete and on the disk; everything
else is ``.unpack`` and removed. All methods block and may be repeated after a crash.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from ota import boot
from ota.boot import BootRecord, BootRecordError, Rollback, Trial
from ota.errors import ContentError, NoSpaceError, StoppedError
from ota.files import fsync_path, fsync_tree, make_folder, write_atomically
from ota.installer import Progress
from ota.package import INFO_NAME, LIB, ReleaseInfo, check_runtime, open_package, read_first_info
from ota.trust import Target
from wire.ota import OtaEvent

INSTALLER = "slots"
# What the package's own bytes hashed to, beside release.json: tells an unpacked release from
# another build of the same version.
PACKAGE_NAME = "package.json"
COPY_SIZE = 256 * 1024
# Room that an installation leaves on the disk: boot.json, task.json and the outbox must still fit.
RESERVE_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """What a package may become on this disk, at most."""

    files: int = 20_000
    bytes: int = 512 * 2**20

    @property
    def read_limit(self) -> int:
        """What the tar itself may have: a header and padding come on top of each file."""
        return self.bytes + 2048 * self.files + 64 * 1024

    def check(self, files: int, size: int) -> None:
        """Raise ContentError when that is too much."""
        if files > self.files or size > self.bytes:
            most = f"{self.files} files or {self.bytes} bytes"
            raise ContentError("package too big", f"more than {most}", OtaEvent.UNPACK_FAIL)


class SlotInstaller:
    """Installs, switches, confirms and rolls back releases under ``state_dir``/slots."""

    def __init__(
        self,
        state_dir: Path,
        limits: UnpackLimits = UnpackLimits(),  # frozen: one does for all
        free_space: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        """Work in ``state_dir``; ``free_space`` tells how many bytes a folder's disk has left."""
        self._state_dir = state_dir
        self._limits = limits
        self._free_space = free_space
        self._releases = boot.slots_folder(state_dir) / "releases"
        self._temp = self._releases / ".unpack"

    def install(
        self, package: Path, target: Target, stop: threading.Event, progress: Progress
    ) -> None:
        """Unpack a package whose bytes were verified; the machine still starts what it did before.

        Args:
            package: the file.
            target: what it must be; release.json has to agree.
            stop: ends the work with StoppedError.
            progress: called with (bytes of the package read, its size).

        Raises:
            ContentError: the package is refused; the message says by which check.
            NoSpaceError: the disk is too small.
            OSError: the disk failed.
        """
        final = boot.release_folder(self._state_dir, target.version)
        if _package_hash(final) == target.sha256:
            progress(target.length, target.length)
            return
        make_folder(self._releases)
        self._remove(self._temp)
        try:
            self._unpack(package, target, stop, progress)
            fsync_tree(self._temp)
            self._remove(final)
            self._temp.rename(final)
            fsync_path(self._releases)
        finally:
            self._remove(self._temp)

    def _unpack(
        self, package: Path, target: Target, stop: threading.Event, progress: Progress
    ) -> None:
        info: ReleaseInfo | None = None
        try:
            with package.open("rb") as file, open_package(file, self._limits.read_limit) as tar:
                info = read_first_info(tar)
                check_info(info, target)
                self._check_space(info)
                self._write_release(info, target)
                unpacker = _Unpacker(self._temp, self._limits, stop)
                while (member := tar.next()) is not None:
                    unpacker.take(tar, member)
                    progress(min(file.tell(), target.length), target.length)
                check_size(info, unpacker.size)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            needs = (info.unpacked_bytes if info else 0) + RESERVE_BYTES
            raise NoSpaceError(needs, self._free_space(self._releases)) from error
        progress(target.length, target.length)

    def _check_space(self, info: ReleaseInfo) -> None:
        needs, has = info.unpacked_bytes + RESERVE_BYTES, self._free_space(self._releases)
        if needs > has:
            raise NoSpaceError(needs, has)

    def _write_release(self, info: ReleaseInfo, target: Target) -> None:
        (self._temp / LIB).mkdir(parents=True)
        write_atomically(self._temp / INFO_NAME, info.to_bytes())
        write_atomically(self._temp / PACKAGE_NAME, json.dumps({"sha256": target.sha256}).encode())

    def activate(self, version: str, transaction: str) -> None:
        """Make an installed version what starts next, on trial for the update ``transaction``."""
        boot.store(self._state_dir, self._record().activated(version, transaction))

    def confirm(self) -> None:
        """End the trial: the active version stays; older ones but the previous are removed."""
        boot.store(self._state_dir, self._record().confirmed())

    def roll_back(self, reason: str) -> None:
        """Make the previous version, in the end the base, what starts next."""
        record = self._record()
        if record.trial is not None:
            boot.store(self._state_dir, record.rolled_back(reason))

    def trial(self) -> Trial | None:
        """Return the version that is on trial."""
        return self._record().trial

    def last_rollback(self) -> Rollback | None:
        """Return which version was last given up, and why."""
        return self._record().last_rollback

    def collect(self, running: str) -> None:
        """Remove every release but the active, the previous and the ``running`` one."""
        try:
            record = boot.load(self._state_dir)
        except (BootRecordError, UnicodeDecodeError):
            return  # a release may be needed yet, once a person has looked at the record
        keep = {record.active, record.previous, running}
        if self._releases.is_dir():
            for folder in self._releases.iterdir():
                if folder.name not in keep:
                    self._remove(folder)

    def _record(self) -> BootRecord:
        """Return boot.json; an unreadable one is the base, as `launch` has it (which says so)."""
        try:
            return boot.load(self._state_dir)
        except (BootRecordError, UnicodeDecodeError, OSError):
            return BootRecord()

    @staticmethod
    def _remove(path: Path) -> None:
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            # Under a temp name first: a release folder is whole or it is not there.
            doomed = path.with_name(".removed")
            if doomed != path:
                shutil.rmtree(doomed, ignore_errors=True)
                path.rename(doomed)
            shutil.rmtree(doomed)


def _package_hash(folder: Path) -> object:
    try:
        return json.loads((folder / PACKAGE_NAME).read_text("utf-8"))["sha256"]
    except (OSError, ValueError, LookupError, TypeError):  # not there, or not by this module
        return None


def check_info(info: ReleaseInfo, target: Target) -> None:
    """Refuse a release that is not the one the signed metadata names, or does not fit this machine.

    Raises:
        ContentError: says which field differs, or what the machine lacks.
    """
    for name, got, expected in (
        ("product", info.product, target.product),
        ("version", info.version, target.version),
    ):
        if got != expected:
            detail = f"release.{name}: got {got!r}, expected {expected!r}"
            raise ContentError("wrong release", detail, OtaEvent.IMAGE_INVALID)
    check_runtime(info)


def check_size(info: ReleaseInfo, size: int) -> None:
    """Refuse a package that held another size than its release.json says: tarfile ends quietly."""
    if size != info.unpacked_bytes:
        detail = f"holds {size} bytes, release.json says {info.unpacked_bytes}"
        raise ContentError("broken package", detail, OtaEvent.UNPACK_FAIL)


class _Unpacker:
    """Writes members below one folder and refuses what has no place there."""

    def __init__(self, root: Path, limits: UnpackLimits, stop: threading.Event) -> None:
        self._root = root
        self._limits = limits
        self._stop = stop
        self._files = 0
        self.size = 0

    def take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Write one member."""
        if self._stop.is_set():
            raise StoppedError("stopped while unpacking")
        path = self._root / check_member(member)
        self._files += 1
        self.size += member.size
        self._limits.check(self._files, self.size)
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise _refused(member.name, "a name that is taken already") from error
        source = tar.extractfile(member)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o755 if member.mode & 0o100 else 0o644)
            if source is not None:
                self._copy(source, file)

    def _copy(self, source: IO[bytes], file: IO[bytes]) -> None:
        while chunk := source.read(COPY_SIZE):
            if self._stop.is_set():
                raise StoppedError("stopped while unpacking")
            file.write(chunk)


def check_member(member: tarfile.TarInfo) -> PurePosixPath:
    """Return where a member belongs, relative to the release's folder.

    Raises:
        ContentError: an absolute name, a way out, another place than lib/, a link or a device.
    """
    name = PurePosixPath(member.name)
    if name.is_absolute():
        raise _refused(member.name, "an absolute name")
    if ".." in name.parts or "\0" in member.name:
        raise _refused(member.name, "a way out of the release")
    if member.issym() or member.islnk():
        raise _refused(member.name, "a link")
    if not member.isreg() and not member.isdir():
        raise _refused(member.name, "neither file nor folder")
    if name.parts[:1] != (LIB,):
        raise _refused(member.name, f"outside {LIB}/")
    return name


def _refused(name: str, what: str) -> ContentError:
    shown = ascii(name if len(name) <= 80 else name[:79] + "…")
    return ContentError("unsafe package", f"member {shown}: {what}", OtaEvent.UNPACK_FAIL)


def inspect_package(package: Path, limits: UnpackLimits = UnpackLimits()) -> ReleaseInfo:
    """Check a package as `SlotInstaller.install` would, without writing anything.

    Raises:
        ContentError: a device would refuse it.
        OSError: it cannot be read.
    """
    with package.open("rb") as file, open_package(file, limits.read_limit) as tar:
        info = read_first_info(tar)
        names: set[PurePosixPath] = set()
        size = 0
        while (member := tar.next()) is not None:
            name = check_member(member)
            if name in names:
                raise _refused(member.name, "a name that is taken already")
            names.add(name)
            size += member.size
            limits.check(len(names), size)
        check_size(info, size)
    return info
