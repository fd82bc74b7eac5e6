"""Unpack a slot package: only members below lib/, and only as many bytes as release.json declares.

Nothing is written before release.json, the first member, is checked against the signed metadata
and this machine.
"""

from __future__ import annotations

import os
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from base.files import write_atomically
from ota.errors import ContentError, StoppedError
from ota.install.installer import DEFAULT_LIMITS, Progress, UnpackLimits
from ota.install.package import (
    INFO_NAME,
    LIB,
    ReleaseInfo,
    check_runtime,
    open_package,
    read_first_info,
)
from ota.trust.target import Target
from wire.ota import OtaEvent

COPY_SIZE = 256 * 1024
# Maximum bytes of a member's name and of each part of it: a part is limited by file systems, the
# whole by the folder depth that walking the tree can handle.
NAME_MAX, PART_MAX = 512, 255


def unpack(
    package: Path,
    target: Target,
    folder: Path,
    *,
    limits: UnpackLimits,
    admit: Callable[[int], None],
    stop: threading.Event,
    progress: Progress,
) -> None:
    """Unpack ``package`` into ``folder``, which does not exist yet; not fsynced.

    Args:
        package: the package file, whose bytes were verified.
        target: the signed entry of the package.
        folder: the folder to create; after an error the caller removes it.
        limits: the limits on files and bytes.
        admit: called with the unpacked size in bytes before anything is written; raises to refuse.
        stop: ends the work with StoppedError.
        progress: called with (bytes of the package read, its size).

    Raises:
        ContentError: the package is refused; the message names the failed check.
        OSError: the disk failed.
    """
    with package.open("rb") as file, open_package(file, limits.read_limit) as tar:
        info = read_first_info(tar)
        check_info(info, target)
        admit(info.unpacked_bytes)
        (folder / LIB).mkdir(parents=True)
        write_atomically(folder / INFO_NAME, info.to_bytes())
        unpacker = _Unpacker(folder, info, limits, stop)
        while (member := tar.next()) is not None:
            unpacker.take(tar, member)
            progress(min(file.tell(), target.length), target.length)
        check_size(info, unpacker.size)


def check_info(info: ReleaseInfo, target: Target) -> None:
    """Refuse a release that is not the one in the signed metadata, or does not fit this machine.

    Raises:
        ContentError: names the field that differs, or what the machine lacks.
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
    """Refuse a package with a size other than release.json's; tarfile ignores a truncated end."""
    if size != info.unpacked_bytes:
        detail = f"holds {size} bytes, release.json says {info.unpacked_bytes}"
        raise ContentError("broken package", detail, OtaEvent.UNPACK_FAIL)


class _Unpacker:
    """Writes members below one folder and refuses those that do not belong there."""

    def __init__(
        self, root: Path, info: ReleaseInfo, limits: UnpackLimits, stop: threading.Event
    ) -> None:
        self._root = root
        self._info = info
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
        if self.size > self._info.unpacked_bytes:  # free space was checked for the declared size
            check_size(self._info, self.size)
        try:
            (path if member.isdir() else path.parent).mkdir(parents=True, exist_ok=True)
            if member.isdir():
                return
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
    """Return a member's path relative to the release's folder.

    Raises:
        ContentError: an absolute name, one that leaves the folder or is outside lib/; a link or a
            device; a name or size that no file can have.
    """
    name = PurePosixPath(member.name)
    sizes = [len(os.fsencode(part)) for part in name.parts]
    if len(member.name) > NAME_MAX or max(sizes, default=0) > PART_MAX:
        raise _refused(member.name, "a name that is too long")
    if member.size < 0:
        raise _refused(member.name, "a size below 0")
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


def inspect_package(package: Path, limits: UnpackLimits = DEFAULT_LIMITS) -> ReleaseInfo:
    """Check a package as `SlotInstaller.install` would, without writing anything.

    Raises:
        ContentError: a device would refuse it.
        OSError: the file cannot be read.
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
