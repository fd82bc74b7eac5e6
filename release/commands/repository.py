"""Commands on a whole repository: init, sign, publish, refresh, show."""

from __future__ import annotations

import argparse
from pathlib import Path

from base.arguments import whole
from release.commands.common import Commands, Result, add_command, add_folders, open_repository


def init(commands: Commands) -> None:
    """Add ``init``: make a repository and its keys."""
    command = add_command(commands, "init", _init, "make keys and an empty signed repository")
    add_folders(command)
    for role in ("root", "targets"):
        for what in ("keys", "threshold"):
            text = f"{what} of the {role} role; default: 1"
            command.add_argument(f"--{role}-{what}", type=whole, default=1, metavar="N", help=text)


def _init(options: argparse.Namespace) -> Result:
    from release.role_keys import KeyCount

    repository = open_repository(options)
    repository.create(
        {
            "root": KeyCount(options.root_keys, options.root_threshold),
            "targets": KeyCount(options.targets_keys, options.targets_threshold),
        }
    )
    return {
        "repository": str(options.repo),
        "keys": str(options.keys),
        "root": str(repository.root_file),
    }


def sign(commands: Commands) -> None:
    """Add ``sign``."""
    command = add_command(commands, "sign", _sign, "add signatures to what is staged")
    add_folders(command)


def _sign(options: argparse.Namespace) -> Result:
    return open_repository(options).sign().to_json()


def publish(commands: Commands) -> None:
    """Add ``publish``."""
    command = add_command(commands, "publish", _publish, "publish what is staged and fully signed")
    add_folders(command)


def _publish(options: argparse.Namespace) -> Result:
    return open_repository(options).publish().to_json()


def refresh(commands: Commands) -> None:
    """Add ``refresh``."""
    command = add_command(commands, "refresh", _refresh, "sign a new snapshot and timestamp")
    add_folders(command)


def _refresh(options: argparse.Namespace) -> Result:
    repository = open_repository(options)
    repository.refresh()
    return repository.show()


def show(commands: Commands) -> None:
    """Add ``show``."""
    command = add_command(commands, "show", _show, "list roles, expiry and targets")
    command.add_argument("--repo", required=True, type=Path, metavar="DIR")


def _show(options: argparse.Namespace) -> Result:
    from release.repository import Repository

    return Repository(options.repo).show()
