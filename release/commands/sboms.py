"""Commands on the lists of parts: sbom, vex."""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

from base.files import read_given, write_atomically
from release.commands.common import Commands, Result, add_command
from release.errors import ReleaseToolError


def sbom(commands: Commands) -> None:
    """Add ``sbom``."""
    command = add_command(commands, "sbom", _sbom, "write the list of parts that is in a package")
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("--output", required=True, type=Path, metavar="FILE")


def _sbom(options: argparse.Namespace) -> Result:
    data = read_sbom(options.file)
    if data is None:
        raise ReleaseToolError(f"{options.file}: it has none: it was built before there were any")
    write_atomically(options.output, data)
    return {"file": str(options.output), "sha256": hashlib.sha256(data).hexdigest()}


def read_sbom(package: Path) -> bytes | None:
    """Return the SBOM in a slot package, None without one; raises ContentError, OSError."""
    from ota.install.installer import DEFAULT_LIMITS
    from ota.install.package import LIB, open_package
    from ota.launch.running import SBOM_MAX, SBOM_NAME

    with package.open("rb") as file, open_package(file, DEFAULT_LIMITS.read_limit) as tar:
        while (member := tar.next()) is not None:
            if member.name != f"{LIB}/{SBOM_NAME}":
                continue
            if not member.isreg() or member.size > SBOM_MAX:
                text = f"{package}: its SBOM has {member.size} bytes, expected at most {SBOM_MAX}"
                raise ReleaseToolError(text)
            opened = tar.extractfile(member)
            return opened.read() if opened else None
    return None


def read_sbom_beside(bundle: Path) -> bytes | None:
    """Return the SBOM that `make image` writes beside a bundle, None without one; raises OSError, ReleaseToolError."""
    from ota.launch.running import SBOM_MAX
    from release.build import sbom_beside

    path = sbom_beside(bundle)
    if not path.is_file():
        return None
    if (size := path.stat().st_size) > SBOM_MAX:
        raise ReleaseToolError(f"{path}: it has {size} bytes, expected at most {SBOM_MAX}")
    return path.read_bytes()


def vex(commands: Commands) -> None:
    """Add ``vex``: what is known of faults changes after a release, and its parts do not."""
    command = add_command(commands, "vex", _vex, "say what is known of faults in a release's parts")
    command.add_argument("sbom", type=Path, metavar="SBOM", help="FILE.cdx.json of the release")
    command.add_argument("--output", required=True, type=Path, metavar="FILE")
    command.add_argument(
        "--faults", type=Path, metavar="FILE", help="what is known; default: release/faults.toml"
    )


def _vex(options: argparse.Namespace) -> Result:
    from release.faults import FAULTS_FILE, read_faults
    from release.sbom import make_vex
    from wire.fields import parse_object

    faults = read_faults(options.faults or FAULTS_FILE)
    sbom = parse_object(read_given(options.sbom), str(options.sbom))
    data = make_vex(sbom, faults, int(time.time()))
    write_atomically(options.output, data)
    told = parse_object(data, "VEX")["vulnerabilities"]
    count = len(told) if isinstance(told, list) else 0
    return {"file": str(options.output), "faults": count, "of": len(faults)}
