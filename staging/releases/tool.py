"""The TUF repository under DATA/tuf, managed by ``story-release`` in a separate process.

The staging cloud does not import `ota`: it runs the tool's command line and reads its JSON.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import quote

from staging.data_dir import DataDir, locked
from staging.errors import ReleaseToolFailedError, StagingError
from staging.store.releases import Target
from wire.errors import WireError, show
from wire.fields import get_int, get_string, parse_object
from wire.ota import InstallerKind

COMMAND = (sys.executable, "-m", "release.cli")
# An absolute path of two names or more, to the colon or blank after it.
_PATH = re.compile(r"(?<![\w.])/[^\s:/,'\"]+(?:/[^\s:,'\"]+)+")
# Time to hash the largest image on an SD card, at 20 MB/s; none comes near wire.ota.SIZE_MAX.
TIMEOUT = 600.0


def ensure_repository(data: DataDir) -> None:
    """Create the keys and the repository if there are none; raises StagingError."""
    with _lock(data):
        if not data.tuf_root.exists():
            _run(("init", *_where(data)))


def refresh(data: DataDir) -> None:
    """Re-sign the repository's timestamp before it expires; raises StagingError."""
    with _lock(data):
        _run(("refresh", *_where(data)))


def add(
    data: DataDir,
    file: Path,
    product: str,
    version: str,
    installer: str = InstallerKind.SLOTS,
    sbom_to: Path | None = None,
) -> Target:
    """Add a package for devices with ``installer`` to the repository; raises StagingError.

    The package's list of parts, if it has one, is written to ``sbom_to``.
    """
    if not file.is_file():
        raise StagingError(f"{file}: there is no such file")
    with _lock(data):
        options: tuple[str, ...] = (
            "--product",
            product,
            "--version",
            version,
            "--installer",
            installer,
            "--json",
        )
        if sbom_to is not None:
            options += ("--sbom-to", str(sbom_to))
        output = _run(("add", str(file), *_where(data), *options))
    try:
        source = parse_object(output, "story-release add")
        return Target(
            path=_url_path(data, get_string(source, "path")),
            size=get_int(source, "size", low=1),
            md5=get_string(source, "md5"),
            sha256=get_string(source, "sha256"),
            sbom=get_string(source, "sbom") if "sbom" in source else None,
        )
    except WireError as error:
        raise StagingError(f"story-release add: {error}") from error


def _url_path(data: DataDir, path: str) -> str:
    """Return the package's path below ``targets/``, quoted for a URL."""
    targets = (data.tuf / "targets").resolve()
    file = (data.tuf / path).resolve()
    if not file.is_file() or not file.is_relative_to(targets):
        raise StagingError(f"story-release add: path: got {show(path)}, expected a file in targets")
    return quote(file.relative_to(targets).as_posix())


def _where(data: DataDir) -> tuple[str, ...]:
    return ("--repo", str(data.tuf), "--keys", str(data.tuf_keys))


def _lock(data: DataDir) -> AbstractContextManager[None]:
    return locked(data.root / ".tuf.lock", "another process is changing the update repository")


def _run(arguments: Sequence[str]) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603  # our own tool, no shell
            (*COMMAND, *arguments), capture_output=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StagingError(f"story-release {arguments[0]}: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit code {done.returncode}"
        reason = reason.removeprefix("story-release: ")
        raise ReleaseToolFailedError(arguments[0], reason, without_paths(reason))
    return done.stdout


def without_paths(reason: str) -> str:
    """Return a reason for people elsewhere: they know the package, and no file of this machine."""
    return _PATH.sub("package", reason)
