"""Reads the control fields of a Debian package, without dpkg: the repository may be made anywhere.

A package is an ``ar`` archive whose second member is a compressed tar with the file ``control`` (deb(5)).
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from staging.errors import StagingError
from wire.errors import FieldError

_MAGIC = b"!<arch>\n"
_HEADER = 60
# A control archive has a few kB; scripts and checksums of a large package are below this.
_CONTROL_MAX = 8 * 2**20
_READ = 2**20
# Policy 5.6.7, 5.6.12 and 5.6.8; they become parts of a file's name.
_FIELDS = {
    "Package": re.compile(r"[a-z0-9][a-z0-9+.-]{1,99}"),
    "Version": re.compile(r"[0-9][A-Za-z0-9.+~:-]{0,99}"),
    "Architecture": re.compile(r"[a-z0-9][a-z0-9-]{0,29}"),
}


@dataclass(frozen=True, slots=True)
class DebFile:
    """One package: its fields as they stand in it, its size in bytes and its SHA-256."""

    package: str
    version: str
    architecture: str
    control: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The name that such a file has by custom; an epoch's colon is no part of it."""
        return f"{self.package}_{self.version.rpartition(':')[2]}_{self.architecture}.deb"


def read_deb(path: Path) -> DebFile:
    """Read a package's fields and hash.

    Raises:
        StagingError: it is no Debian package, or one whose compression is not read here.
        FieldError: a field that names the package is missing or cannot be part of a file's name.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        control = _control(path, file)
        file.seek(0)
        digest = hashlib.sha256()
        while chunk := file.read(_READ):
            digest.update(chunk)
        size = file.tell()
    package, version, architecture = (_field(path, control, name) for name in _FIELDS)
    return DebFile(package, version, architecture, control, size, digest.hexdigest())


def _field(path: Path, control: str, name: str) -> str:
    found = re.search(rf"(?m)^{name}:[ \t]*(.*?)[ \t]*$", control)
    value = found[1] if found else ""
    if not _FIELDS[name].fullmatch(value):
        expected = "as in Debian's policy: letters, digits and a few signs"
        raise FieldError(f"{path.name}: {name}", value, expected)
    return value


def _control(path: Path, file: BinaryIO) -> str:
    """Return the control file's text."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise StagingError(f"{path}: no Debian package")
    while len(header := file.read(_HEADER)) == _HEADER:
        name = header[:16].decode("ascii", "replace").strip().rstrip("/")
        length = header[48:58].decode("ascii", "replace").strip()
        if not length.isdigit() or int(length) > path.stat().st_size:
            raise StagingError(f"{path}: a member of {length[:12]!r} bytes; the file is damaged")
        if name.startswith("control.tar"):
            if int(length) > _CONTROL_MAX:
                raise StagingError(f"{path}: {name} has {length} bytes, expected few")
            return _text(path, name, file.read(int(length)))
        file.seek(int(length) + int(length) % 2, io.SEEK_CUR)
    raise StagingError(f"{path}: no control.tar in it; the file is damaged")


def _text(path: Path, name: str, packed: bytes) -> str:
    if name.endswith(".zst"):
        raise StagingError(f"{path}: {name} is not read here; pack it with: dpkg-deb -Zxz --build")
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            member = tar.getmember("./control")
            file = tar.extractfile(member)
            text = file.read(_CONTROL_MAX) if file else b""
        return text.decode().strip() + "\n"
    except (tarfile.TarError, LookupError, UnicodeDecodeError, OSError, EOFError) as error:
        raise StagingError(f"{path}: {name}: {error}; the file is damaged") from error
