"""An apt repository of Debian packages, in a folder for any web server."""

from __future__ import annotations

import argparse
from pathlib import Path

from base.arguments import whole
from staging.commands.common import Commands, Result, command, data_of


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the command ``apt-repo``."""
    parser = command(
        commands, "apt-repo", common, _publish, "make or renew a signed apt repository"
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="what a web server serves")
    parser.add_argument("debs", type=Path, nargs="*", metavar="FILE.deb", help="to add to it")
    parser.add_argument(
        "--url", metavar="URL", help="where machines find DIR (default: file: and its path)"
    )
    parser.add_argument("--suite", default="stable", metavar="NAME", help="default: stable")
    parser.add_argument(
        "--valid-days", type=whole, metavar="N",
        help="apt takes the release for so long; renew it before (default: for ever)",
    )  # fmt: skip
    parser.add_argument(
        "--gnupg-home", type=Path, metavar="DIR", help="gpg's folder (default: DATA/apt-keys)"
    )
    parser.add_argument(
        "--key", metavar="FINGERPRINT", help="a key of that folder (default: one that is made)"
    )


def _publish(options: argparse.Namespace) -> Result:
    from staging.data_dir import locked  # with what a server needs alone
    from staging.packages.apt_repository import INSTALLER, AptRepository
    from staging.packages.signer import Signer
    from wire.errors import FieldError

    if options.valid_days is not None and not 1 <= options.valid_days <= 3650:
        raise FieldError("--valid-days", options.valid_days, "1 to 3650")
    data, folder = data_of(options), options.folder.absolute()
    data.create()
    repository = AptRepository(folder, options.suite)
    url = options.url or f"file:{folder}"
    with (
        locked(data.root / "apt.lock", "another story-cloud apt-repo is at work"),
        Signer(options.gnupg_home or data.root / "apt-keys", options.key) as signer,
    ):
        added = repository.add(options.debs)
        debs = repository.publish(signer, url, valid_days=options.valid_days)
        fingerprint = signer.fingerprint
    value = {
        "folder": str(folder), "url": url, "suite": options.suite, "key": fingerprint,
        "added": [deb.name for deb in added], "packages": [deb.name for deb in debs],
    }  # fmt: skip
    how = "sudo sh " if url.startswith("file:") else "curl -fsSL "
    where = url.removeprefix("file:").rstrip("/")
    line = f"{how}{where}/{INSTALLER}" + ("" if url.startswith("file:") else " | sudo sh")
    lines = [deb.name for deb in debs]
    return Result(value, [*lines, f"key {fingerprint}", f"on a machine: {line}"])
