"""Which release of the agent this process runs."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ota.launch.launch import base_version

DISTRIBUTION = "story-agent"


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
