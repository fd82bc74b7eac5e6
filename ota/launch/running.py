"""Which release of the agent this process runs."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ota.launch.launch import base_version

DISTRIBUTION = "story-agent"
# The list of parts (docs/sbom.md), below the folder of the import packages.
SBOM_NAME = "agent/sbom.cdx.json"
# A real one has some 20 kB.
SBOM_MAX = 2**20


@dataclass(frozen=True, slots=True)
class RunningRelease:
    """The running code: its version and where that was read ("slot", "package" or "checkout").

    ``built`` is when it was built (Unix time, seconds); 0: unknown.
    """

    version: str
    source: str
    folder: Path
    built: int = 0


def running_release(code: Path = Path(__file__)) -> RunningRelease:
    """Return the running release: from release.json, else the package beside it, else the checkout.

    importlib.metadata is the last to be asked: each start would pay for loading it.

    Args:
        code: a file of the running code, one folder below the import folder.

    Raises:
        RuntimeError: none of the three gives a version; the installation is broken.
    """
    folder = code.resolve().parents[2]
    if folder.name == "lib" and (folder.parent / "release.json").is_file():
        info = json.loads((folder.parent / "release.json").read_text("utf-8"))
        built = info.get("built", 0)
        built = built if isinstance(built, int) else 0
        return RunningRelease(str(info["version"]), "slot", folder.parent, built)
    if (installed := base_version(folder)) is not None:
        return RunningRelease(installed, "package", folder)
    if (version := _project_version(folder)) is not None:
        return RunningRelease(version, "checkout", folder)
    return RunningRelease(_metadata_version(), "package", folder)


def _project_version(folder: Path) -> str | None:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
        return str(project["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return None


def _metadata_version() -> str:
    import importlib.metadata  # noqa: PLC0415  # see running_release

    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError as error:
        raise RuntimeError(
            f"no version: {DISTRIBUTION} is not installed, and this is no checkout"
        ) from error


def running_version() -> str:
    """Return the running version, such as "1.0.0"."""
    return running_release().version


def sbom_digests(
    release: RunningRelease | None = None, search: Sequence[str] | None = None
) -> tuple[str, str]:
    """Return the SHA-256 of the SBOM of the running release, and of the base install behind it.

    "" stands for one that is not there or cannot be read: a checkout has none.

    Args:
        release: what runs; None: this process.
        search: where modules are looked for, in this order; None: ``sys.path``.
    """
    release = release or running_release()
    own = release.folder / "lib" if release.source == "slot" else release.folder
    running = _digest(own / SBOM_NAME)
    if release.source != "slot":  # it is the base install
        return running, ""
    others = (Path(entry) for entry in (sys.path if search is None else search) if entry)
    found = (_digest(entry / SBOM_NAME) for entry in others if entry.resolve() != own)
    return running, next(filter(None, found), "")


def _digest(file: Path) -> str:
    import hashlib  # noqa: PLC0415  # the way to a release asks for no digest

    try:
        if file.stat().st_size > SBOM_MAX:
            return ""
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
