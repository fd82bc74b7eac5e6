"""Commands on a package: build, verify."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path

from release.commands.common import Commands, Result, add_command

DEFAULT_PRODUCT = "story-machine"


def build(commands: Commands) -> None:
    """Add ``build``."""
    command = add_command(commands, "build", _build, "make the package of a version")
    command.add_argument("--version", required=True, help='such as "1.1.0"')
    command.add_argument("--output", required=True, type=Path, metavar="FILE")
    command.add_argument("--product", default=DEFAULT_PRODUCT, help="default: %(default)s")
    command.add_argument(
        "--source",
        type=Path,
        default=Path(__file__).resolve().parents[2],
        metavar="DIR",
        help="folder that holds wire, ota, agent and the others; default: this code's",
    )
    command.add_argument(
        "--with-dependencies",
        action="store_true",
        help="bring the dependencies along, for this machine's architecture",
    )
    command.add_argument(
        "--support-end",
        default=os.environ.get("SUPPORT_END", ""),
        metavar="DAY",
        help="until when it is supported, such as 2033-06-30; default: SUPPORT_END, or the source's own day",
    )


def _build(options: argparse.Namespace) -> Result:
    from release.build import build_release, sbom_beside

    info = build_release(
        options.version,
        options.output,
        product=options.product,
        source=options.source,
        with_dependencies=options.with_dependencies,
        support_end=options.support_end,
    )
    size = options.output.stat().st_size
    sbom = str(sbom_beside(options.output))
    return {"file": str(options.output), "sbom": sbom, "size": size, **asdict(info)}


def verify(commands: Commands) -> None:
    """Add ``verify``: a package, or a whole repository."""
    command = add_command(commands, "verify", _verify, "check a package or a whole repository")
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("file", nargs="?", type=Path, metavar="FILE")
    which.add_argument("--repo", type=Path, metavar="DIR")


def _verify(options: argparse.Namespace) -> Result:
    from release.repository import Repository

    if options.repo is not None:
        return Repository(options.repo).verify()
    return {**inspect_file(options.file), "valid": True}


def inspect_file(file: Path) -> dict[str, object]:
    """Return the release.json of a slot package; raises ContentError, OSError."""
    from ota.install.unpack import inspect_package

    return asdict(inspect_package(file))
