"""The slot package: a tar.gz that holds release.json first, then the import packages under lib/.

Builds are reproducible: members are sorted, without times or owners. release.json describes the
package before anything is unpacked.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import io
import json
import re
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

from ota.errors import ContentError
from wire.errors import FieldError, WireError
from wire.fields import get_int, get_string, parse_object
from wire.names import check_product
from wire.ota import OtaEvent, version_key
from wire.records import dataclass

INFO_NAME = "release.json"
LIB = "lib"
# A real release.json has a few hundred bytes.
INFO_MAX = 64 * 1024
# Files are read in much smaller pieces; only a header is read in one piece.
READ_MAX = 2**20
# Maximum bytes of all headers of one member; a real member needs one for a long name at most.
HEADERS_MAX = 64 * 1024
FORMAT = 1
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PYTHON = re.compile(r">=(\d{1,3})\.(\d{1,3})")
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==(\d+(?:\.\d+)*)\S*")


@dataclass(frozen=True, slots=True)
class ReleaseInfo:
    """The content of release.json.

    Attributes:
        requires_python: the Python versions it runs on, such as ">=3.11".
        requires: "name==version" of each distribution it was built against but does not contain.
        packages: the import packages under lib/.
        unpacked_bytes: the sum of the files' sizes.
        built: when its newest source was written, Unix time in seconds; 0: unknown. A clock before
            it is wrong (`base.clock`).
    """

    product: str
    version: str
    requires_python: str
    requires: tuple[str, ...]
    packages: tuple[str, ...]
    unpacked_bytes: int
    built: int = 0

    def to_bytes(self) -> bytes:
        """Render release.json."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1).encode() + b"\n"


def parse_info(data: bytes) -> ReleaseInfo:
    """Parse release.json; raises WireError naming the member, its value and what was expected."""
    source = parse_object(data, INFO_NAME)
    get_int(source, "format", path="release.", low=FORMAT, high=FORMAT)
    version = get_string(source, "version", path="release.")
    version_key(version, "release.version")
    return ReleaseInfo(
        product=check_product(get_string(source, "product", path="release."), "release.product"),
        version=version,
        requires_python=_matching(source, "requires_python", _PYTHON, '">=3.11"'),
        requires=_strings(source, "requires", _REQUIREMENT, 'a list of "name==version"'),
        packages=_strings(source, "packages", _PACKAGE, "a list of package names"),
        unpacked_bytes=get_int(source, "unpacked_bytes", path="release."),
        built=get_int(source, "built", path="release.") if "built" in source else 0,
    )


def _matching(
    source: Mapping[str, object], name: str, pattern: re.Pattern[str], expected: str
) -> str:
    value = get_string(source, name, path="release.")
    if not pattern.fullmatch(value):
        raise FieldError(f"release.{name}", value, expected)
    return value


def _strings(
    source: Mapping[str, object], name: str, pattern: re.Pattern[str], expected: str
) -> tuple[str, ...]:
    value = source.get(name)
    if not isinstance(value, list):
        raise FieldError(f"release.{name}", value, expected)
    for item in value:
        if not isinstance(item, str) or not pattern.fullmatch(item):
            raise FieldError(f"release.{name}", item, expected)
    return tuple(value)


def installed_version(name: str) -> str | None:
    """Return the version of a distribution in this environment, or None if it is missing."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_runtime(
    info: ReleaseInfo,
    installed: Callable[[str], str | None] = installed_version,
    python: tuple[int, int] = (sys.version_info.major, sys.version_info.minor),
) -> None:
    """Refuse a release that the base install cannot run.

    Raises:
        ContentError: Python, or a distribution, is missing or older than the release was built
            against. A newer one passes; the trial shows whether it works.
    """
    needed = _PYTHON.fullmatch(info.requires_python)
    if needed is None or python < (int(needed[1]), int(needed[2])):
        shown = ".".join(map(str, python))
        raise _unfit(f"needs Python {info.requires_python}, this machine has {shown}")
    for requirement in info.requires:
        parts = _REQUIREMENT.fullmatch(requirement)
        name = parts[1] if parts else requirement
        have = installed(name)
        if parts is None or have is None or _numbers(have) < _numbers(parts[2]):
            raise _unfit(f"built against {requirement}, this machine has {have or 'none'}")


def _unfit(detail: str) -> ContentError:
    return ContentError("unfit release", detail, OtaEvent.IMAGE_INVALID)


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version; what follows them (rc1, +local) is not compared."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


@contextmanager
def open_package(file: io.BufferedReader, limit: int) -> Iterator[tarfile.TarFile]:
    """Open a package to read its members in order; at most ``limit`` bytes are decompressed.

    Raises:
        ContentError: not a tar.gz, or a decompression bomb; it is also raised inside the block.
    """
    try:
        plain = gzip.GzipFile(fileobj=file, mode="rb")
        with plain, _Members(_Limited(plain, limit)) as tar:
            yield tar
    except _BROKEN as error:
        detail = str(error) or type(error).__name__
        raise ContentError("broken package", detail, OtaEvent.UNPACK_FAIL) from error


# What tarfile and gzip raise for malformed input; bad numbers and sparse maps also cause ValueError
# and the like. BadGzipFile is an OSError, but a fault of the content, not of the disk.
_BROKEN = (
    tarfile.TarError,
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    ValueError,
    LookupError,
    ArithmeticError,
    RecursionError,
)


class _Members(tarfile.TarFile):
    """A tar that bounds the size of headers and keeps no members, which TarFile collects."""

    def __init__(self, reader: _Limited) -> None:
        self._reader = reader
        super().__init__(fileobj=reader, mode="r")

    def next(self) -> tarfile.TarInfo | None:
        self.members.clear()  # type: ignore[attr-defined]  # in all versions, but in no stub
        self.pax_headers = {}
        with self._reader.headers():
            return super().next()


class _Limited(io.RawIOBase):
    """The stream that tarfile reads: a decompressor with a limit on its output."""

    def __init__(self, plain: gzip.GzipFile, limit: int) -> None:
        super().__init__()
        self._plain = plain
        self._limit = limit
        self._room: int | None = None

    @contextmanager
    def headers(self) -> Iterator[None]:
        """Allow at most HEADERS_MAX bytes to be read inside the block."""
        self._room = HEADERS_MAX
        try:
            yield
        finally:
            self._room = None

    def read(self, size: int = -1) -> bytes:
        # tarfile reads an extended header in one piece: without a limit it could fill the memory.
        if not 0 <= size <= READ_MAX:
            detail = f"a header of {size} bytes"
            raise ContentError("package too big", detail, OtaEvent.UNPACK_FAIL)
        if self._room is not None:  # limits chains of headers and sparse maps, read in small pieces
            self._room -= size
            if self._room < 0:
                detail = f"a member with headers of more than {HEADERS_MAX} bytes"
                raise ContentError("package too big", detail, OtaEvent.UNPACK_FAIL)
        if self._plain.tell() + size > self._limit:
            detail = f"more than {self._limit} bytes unpacked"
            raise ContentError("package too big", detail, OtaEvent.UNPACK_FAIL)
        return self._plain.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset > self._limit:
            detail = f"more than {self._limit} bytes unpacked"
            raise ContentError("package too big", detail, OtaEvent.UNPACK_FAIL)
        return self._plain.seek(offset, whence)

    def tell(self) -> int:
        return self._plain.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def read_first_info(tar: tarfile.TarFile) -> ReleaseInfo:
    """Read release.json, which must be the first member; raises ContentError."""
    member = tar.next()
    if member is None or member.name != INFO_NAME or not member.isreg() or member.size > INFO_MAX:
        found = "nothing" if member is None else f"{member.name[:80]!r} ({member.size} bytes)"
        detail = f"first member is {found}, expected {INFO_NAME} (at most {INFO_MAX} bytes)"
        raise ContentError("broken package", detail, OtaEvent.IMAGE_INVALID)
    file = tar.extractfile(member)
    try:
        return parse_info(file.read() if file else b"")
    except WireError as error:
        raise ContentError("broken package", str(error), OtaEvent.IMAGE_INVALID) from error
