"""What the commands of ``story-release`` share: options, and opening the repository."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from wire.ota import version_key

if TYPE_CHECKING:
    from release.repository import Repository

Result = Mapping[str, object]
# What ArgumentParser.add_subparsers returns; argparse has no public name for it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def add_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], Result], text: str
) -> argparse.ArgumentParser:
    """Add a command with its help text; ``run`` carries it out and returns what is printed."""
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)
    return command


def add_folders(command: argparse.ArgumentParser) -> None:
    """Add the options of `open_repository`."""
    command.add_argument("--repo", required=True, type=Path, metavar="DIR")
    add_key_folder(command)


def add_key_folder(command: argparse.ArgumentParser) -> None:
    """Add the options of a key folder."""
    command.add_argument("--keys", required=True, type=Path, metavar="DIR")
    text = "its first line opens (and encrypts new) keys; else STORY_RELEASE_PASSPHRASE"
    command.add_argument("--passphrase-file", type=Path, metavar="FILE", help=text)


def open_repository(options: argparse.Namespace) -> Repository:
    """Open the repository and the keys that the options name; prompts for a passphrase."""
    from release.passphrase import Passphrase, ask_on_terminal
    from release.repository import Repository

    passphrase = Passphrase(options.passphrase_file, ask_on_terminal())
    return Repository(options.repo, options.keys, passphrase)


def check_version(text: str) -> str:
    """Return ``text`` if it is a version; raises WireError."""
    version_key(text)
    return text
