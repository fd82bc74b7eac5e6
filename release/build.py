"""Builds the slot package of a release from the project's own import packages."""

from __future__ import annotations

import gzip
import importlib.metadata
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from base.files import fsync_path, write_atomically
from ota.install.package import INFO_NAME, LIB, ReleaseInfo, installed_version
from ota.launch.running import DISTRIBUTION, SBOM_NAME
from release.errors import ReleaseToolError
from release.faults import FAULTS_FILE, read_faults
from release.parts import installed_parts, parts_in, read_requirement
from release.sbom import make_sbom, make_vex
from release.support import FILE as SUPPORT_FILE
from release.support import check_day, with_day
from wire.errors import FieldError
from wire.fields import parse_object
from wire.names import check_product
from wire.ota import version_key

# The import packages that run on a device; staging/ and release/ are not among them.
PACKAGES = ("wire", "audio", "base", "transport", "machine", "resources", "ota", "agent")
REQUIRES_PYTHON = ">=3.11"
# pip downloads and unpacks a few dozen MB at most.
PIP_TIMEOUT = 600.0


def build_release(
    version: str,
    output: Path,
    *,
    product: str,
    source: Path,
    with_dependencies: bool = False,
    support_end: str = "",
) -> ReleaseInfo:
    """Write the package of ``version`` to ``output``, SBOM and VEX beside it; return its release.json.

    Args:
        version: version of the release.
        output: file to write; replaced atomically.
        product: product that the release is for.
        source: folder that holds the import packages.
        with_dependencies: include the dependencies (for this machine's architecture) instead of
            relying on those of the base installation.
        support_end: the day until which it is supported, YYYY-MM-DD; empty: the source's own (release.support).

    Raises:
        ReleaseToolError: a package is missing in ``source``, or pip failed.
        WireError: ``product``, ``version`` or ``support_end`` is not valid.
        OSError: a file cannot be read or written.
    """
    check_product(product)
    version_key(version)
    files = [file for name in PACKAGES for file in _files_of(source, name)]
    with tempfile.TemporaryDirectory() as scratch:
        extra = Path(scratch) / "extra"
        if with_dependencies:
            _install_dependencies(extra)
            files += _files_below(extra, extra)
            parts = parts_in([extra])
        else:
            parts = installed_parts(_direct_dependencies())
        built = _built(files)
        if support_end:
            files = _with_support_end(files, source, check_day(support_end, built), Path(scratch))
        sbom = Path(scratch) / "sbom"
        wants = {read_requirement(line)[0] for line in _direct_dependencies()}
        sbom.write_bytes(make_sbom(DISTRIBUTION, version, parts, wants, built))
        files.append((SBOM_NAME, sbom))
        info = ReleaseInfo(
            product=product,
            version=version,
            requires_python=_this_python() if with_dependencies else REQUIRES_PYTHON,
            requires=() if with_dependencies else dependency_versions(),
            packages=PACKAGES,
            unpacked_bytes=sum(path.stat().st_size for _name, path in files),
            built=built,
        )
        _write(output, info, files)
        write_lists(output, sbom.read_bytes(), built)
    return info


def _with_support_end(
    files: list[tuple[str, Path]], source: Path, day: str, scratch: Path
) -> list[tuple[str, Path]]:
    """Return ``files`` with a copy of the module that names the support's end, in which it is ``day``."""
    place = scratch / "support.py"
    place.write_text(with_day(source, day), "utf-8")
    shutil.copystat(source / SUPPORT_FILE, place)
    return [(name, place if name == SUPPORT_FILE else path) for name, path in files]


def write_lists(package: Path, sbom: bytes, built: int) -> None:
    """Write SBOM and VEX beside a package, for those who read them without it."""
    faults = read_faults(FAULTS_FILE)
    vex = make_vex(parse_object(sbom, SBOM_NAME), faults, built)
    write_atomically(sbom_beside(package), sbom)
    write_atomically(package.with_name(f"{package.name}.vex.cdx.json"), vex)


def sbom_beside(package: Path) -> Path:
    """Return where a package's SBOM is laid."""
    return package.with_name(f"{package.name}.cdx.json")


def _built(files: list[tuple[str, Path]]) -> int:
    """Return the build time in Unix seconds: SOURCE_DATE_EPOCH, else the newest source's mtime.

    The current time is not used, so that the same sources give the same bytes.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")  # reproducible-builds.org
    if not epoch:
        return int(max(path.stat().st_mtime for _, path in files))
    if not re.fullmatch("[0-9]{1,12}", epoch):
        raise FieldError("SOURCE_DATE_EPOCH", epoch, "seconds since 1970")
    return int(epoch)


def _write(output: Path, info: ReleaseInfo, files: list[tuple[str, Path]]) -> None:
    temp = output.with_name(f".{output.name}.tmp")
    try:
        build_package(temp, info, files)
        fsync_path(temp)
        temp.replace(output)
        fsync_path(output.parent)
    except OSError as error:
        if error.filename not in {None, str(temp), temp}:  # a source's
            raise
        raise OSError(error.errno, error.strerror, str(output)) from error
    finally:
        temp.unlink(missing_ok=True)


def _files_of(source: Path, package: str) -> list[tuple[str, Path]]:
    folder = source / package
    files = _files_below(folder, source)
    if not any(name.endswith(".py") for name, _path in files):
        raise ReleaseToolError(f"{folder}: no Python package there")
    return files


def _files_below(folder: Path, base: Path) -> list[tuple[str, Path]]:
    return [
        (path.relative_to(base).as_posix(), path)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path != base / SBOM_NAME
    ]


def _direct_dependencies() -> list[str]:
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ReleaseToolError(f"{DISTRIBUTION} is not installed here") from error
    return [line for line in lines if "extra ==" not in line]


def dependency_versions() -> tuple[str, ...]:
    """Return "name==version" of each direct dependency, as installed here."""
    found = []
    for line in _direct_dependencies():
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        version = installed_version(name)
        if version is None:
            raise ReleaseToolError(f"{name}: not installed here, so its version is not known")
        found.append(f"{name}=={version}")
    return tuple(sorted(found))


def _this_python() -> str:
    return f">={sys.version_info.major}.{sys.version_info.minor}"


def _install_dependencies(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    command += ["--disable-pip-version-check", "--target", str(folder), *_direct_dependencies()]
    try:
        subprocess.run(  # noqa: S603  # our own interpreter, no shell
            command, check=True, capture_output=True, text=True, timeout=PIP_TIMEOUT
        )
    except subprocess.TimeoutExpired as error:
        raise ReleaseToolError(f"pip did not finish within {PIP_TIMEOUT:g} s") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise ReleaseToolError(f"pip: {last}") from error


def build_package(output: Path, info: ReleaseInfo, files: Sequence[tuple[str, Path]]) -> None:
    """Write a package to ``output`` (replaced atomically by the caller's choice of name).

    Args:
        output: the file to write.
        info: becomes release.json.
        files: (name under lib/, source file), in any order.
    """
    with (
        output.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add(tar, INFO_NAME, info.to_bytes(), executable=False)
        for name, path in sorted(files):
            executable = bool(path.stat().st_mode & 0o100)
            _add(tar, f"{LIB}/{name}", path.read_bytes(), executable=executable)


def _add(tar: tarfile.TarFile, name: str, data: bytes, *, executable: bool) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o755 if executable else 0o644
    tar.addfile(member, io.BytesIO(data))
