"""Commands on signing keys: key new, key add, key rotate."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from base.arguments import whole
from release.commands.common import (
    Commands,
    Result,
    add_command,
    add_folders,
    add_key_folder,
    open_repository,
)
from release.errors import ReleaseToolError

if TYPE_CHECKING:
    from release.tuf_types import Key


def key(commands: Commands) -> None:
    """Add ``key`` with its actions."""
    group = commands.add_parser("key", help="make, add and rotate signing keys")
    actions = group.add_subparsers(required=True, metavar="ACTION")

    command = add_command(actions, "new", _new, "make a key pair on its holder's own machine")
    command.add_argument("name", metavar="NAME")
    add_key_folder(command)
    command.add_argument(
        "--token", metavar="LABEL", help="take a key of this PKCS#11 token instead"
    )
    command.add_argument("--token-key", type=whole, default=2, metavar="ID", help="default: 2")

    text = "give a role one more key; a product: a role of its own"
    _add_change(add_command(actions, "add", _add, text))

    text = "give a role new keys instead of its old ones"
    command = add_command(actions, "rotate", _rotate, text)
    _add_change(command)
    text = "only this one goes; default: all"
    command.add_argument("--old", action="append", metavar="KEYID", help=text)


def _add_change(command: argparse.ArgumentParser) -> None:
    command.add_argument("role", metavar="ROLE", help="root, targets, snapshot, … or a product")
    add_folders(command)
    text = "a holder's public key"
    command.add_argument("--public", type=Path, action="append", metavar="PEM", help=text)
    command.add_argument("--count", type=whole, default=1, metavar="N", help="keys to make here")
    command.add_argument("--threshold", type=whole, metavar="M", help="how many must sign")


def _new(options: argparse.Namespace) -> Result:
    from release.keys import KeyRing, write_public_key
    from release.passphrase import Passphrase, ask_on_terminal

    ring = KeyRing(options.keys, Passphrase(options.passphrase_file, ask_on_terminal()))
    if ring.free_name(options.name) != options.name:
        raise ReleaseToolError(f"{options.keys}: there is a key {options.name} already")
    if options.token is None:
        key = ring.make(options.name)
    else:
        key = ring.adopt_token(options.name, options.token, options.token_key)
    public = options.keys / f"{options.name}.pub.pem"
    write_public_key(public, key)
    return {"keyid": key.keyid, "public": str(public)}


def _add(options: argparse.Namespace) -> Result:
    return _change_keys(options, revoke=())


def _rotate(options: argparse.Namespace) -> Result:
    return _change_keys(options, revoke=options.old or None)


def _change_keys(options: argparse.Namespace, revoke: Sequence[str] | None) -> Result:
    from release.keys import read_public_key

    keys: list[Key] | int = options.count
    if options.public:
        keys = [read_public_key(path) for path in options.public]
    outcome = open_repository(options).change_keys(options.role, keys, revoke, options.threshold)
    return {"added": list(outcome.keys), **outcome.to_json()}
