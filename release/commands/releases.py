"""Commands on one release of a repository: add, promote, revoke."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from base.arguments import whole
from base.files import write_atomically
from ota.errors import ContentError
from ota.trust.terms import Terms
from release.commands.common import (
    Commands,
    Result,
    add_command,
    add_folders,
    check_version,
    open_repository,
)
from release.commands.packages import inspect_file
from release.commands.sboms import read_sbom, read_sbom_beside
from release.errors import ReleaseToolError
from wire.errors import FieldError
from wire.ota import InstallerKind


def add(commands: Commands) -> None:
    """Add ``add``."""
    command = add_command(commands, "add", _add, "sign a package into the repository")
    command.add_argument("file", type=Path, metavar="FILE")
    add_folders(command)
    _add_release(command)
    _add_offer(command)
    command.add_argument("--hold", action="store_true", help="offer it to nobody yet: see promote")
    command.add_argument(
        "--installer",
        choices=[kind.value for kind in InstallerKind],
        default=InstallerKind.SLOTS.value,
        help="default: %(default)s",
    )
    command.add_argument(
        "--hardware", action="append", default=[], metavar="BOARD", help="runs on this board only"
    )
    command.add_argument("--min-agent", metavar="V", help="oldest version that can install it")
    command.add_argument(
        "--data-budget", type=whole, metavar="BYTES", help="what its download may cost altogether"
    )
    command.add_argument(
        "--sbom-to",
        type=Path,
        metavar="FILE",
        help="write the package's list of parts there as well",
    )


def _add(options: argparse.Namespace) -> Result:
    bundle_map, no_map, sbom = None, None, None
    if options.installer == InstallerKind.SLOTS:
        info = inspect_file(options.file)
        asked = {"product": options.product, "version": options.version}
        for name, value in asked.items():
            if info[name] != value:
                raise ReleaseToolError(f"wrong release: {FieldError(name, info[name], value)}")
        sbom = read_sbom(options.file) if options.sbom_to else None
    else:
        _check_bundle(options.file)
        bundle_map, no_map = _map(options.file)
        sbom = read_sbom_beside(options.file) if options.sbom_to else None
    added, outcome = open_repository(options).add(
        options.file, options.product, options.version, _terms(options), bundle_map
    )
    result: dict[str, object] = {} if no_map is None else {"map": no_map}
    if sbom is not None:
        result["sbom"] = hashlib.sha256(sbom).hexdigest()
        write_atomically(options.sbom_to, sbom)
    if outcome.kept:  # the same package was added before: its terms stay, even if others were given
        result["kept"] = outcome.kept
    # A complete role is published at once, so only staged roles are reported.
    return asdict(added) | result | ({"staged": dict(outcome.staged)} if outcome.staged else {})


def _map(file: Path) -> tuple[bytes | None, str]:
    """Make the map that lets machines fetch parts of a bundle.

    Returns:
        The map (None if it cannot be made), and its size or the reason, as text.
    """
    from release.bundle_maps import make_map

    try:
        data = make_map(file).to_bytes()
    except ContentError as error:
        return None, f"none, machines fetch it whole ({error})"
    return data, f"{len(data)} bytes"


def _check_bundle(file: Path) -> None:
    """Refuse a file that is not a RAUC bundle; RAUC checks the rest.

    Plain and verity bundles start with a squashfs.
    """
    with file.open("rb") as opened:
        if opened.read(4) != b"hsqs":
            raise ReleaseToolError(f"{file}: not a RAUC bundle")


def _terms(options: argparse.Namespace) -> Terms:
    channels = tuple(options.channel) if options.channel else None
    return Terms(
        product=options.product,
        version=options.version,
        installer=options.installer,
        hardware=tuple(options.hardware),
        min_agent=None if options.min_agent is None else check_version(options.min_agent),
        data_budget=options.data_budget,
        downgrade_from=tuple(check_version(v) for v in options.allow_downgrade_from),
        channels=() if options.hold else channels,
    )


def promote(commands: Commands) -> None:
    """Add ``promote``."""
    command = add_command(commands, "promote", _promote, "offer a release, to a channel or to all")
    add_folders(command)
    _add_release(command)
    _add_offer(command)


def _promote(options: argparse.Namespace) -> Result:
    downgrade = tuple(check_version(v) for v in options.allow_downgrade_from)

    def offer(terms: Terms) -> Terms:
        if terms.revoked is not None:
            text = (
                f"version {terms.version} is revoked ({terms.revoked}): no machine would install it"
            )
            raise ReleaseToolError(text)
        known = terms.channels or ()
        more = tuple(name for name in options.channel if name not in known)
        channels = (*known, *more) if options.channel else None
        back = tuple(dict.fromkeys((*terms.downgrade_from, *downgrade)))
        return replace(terms, channels=channels, downgrade_from=back)

    return _edit(options, offer)


def revoke(commands: Commands) -> None:
    """Add ``revoke``."""
    command = add_command(commands, "revoke", _revoke, "let a release never be installed again")
    add_folders(command)
    _add_release(command)
    command.add_argument(
        "--reason", required=True, help="the reason that every device which refuses it reports"
    )


def _revoke(options: argparse.Namespace) -> Result:
    return _edit(options, lambda terms: replace(terms, revoked=options.reason))


def _edit(options: argparse.Namespace, change: Callable[[Terms], Terms]) -> Result:
    terms, outcome = open_repository(options).edit_terms(options.product, options.version, change)
    return {"terms": terms.to_json(), **outcome.to_json()}


def _add_release(command: argparse.ArgumentParser) -> None:
    command.add_argument("--product", required=True)
    command.add_argument("--version", required=True)


def _add_offer(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--channel", action="append", default=[], help="offer it to this channel; default: to all"
    )
    command.add_argument(
        "--allow-downgrade-from",
        action="append",
        default=[],
        metavar="V",
        help="a newer version that may go back to it",
    )
