"""The lists of the titles that devices can play, by which spoken titles are recognised."""

from __future__ import annotations

import argparse
from pathlib import Path

from staging.commands.common import Commands, Result, command, data_of, group, store
from staging.errors import StagingError
from staging.recognition.lookup import find_product, look_up
from staging.recognition.title_lists import FILE_LIMIT, TitleLists, sort_titles
from wire.errors import WireError


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``catalogue``."""
    titles = group(commands, "catalogue", common, "what devices can play, for matching titles")
    for name, run, text in (
        ("set", _set, "keep the list of titles in FILE"),
        ("show", _show, "print a list"),
        ("remove", _remove, "forget a list"),
    ):
        parser = command(titles, name, common, run, text)
        parser.add_argument("uuid", metavar="U", nargs="?", help="the device")
        parser.add_argument("--product", metavar="NAME", help="all devices of a product instead")
        if name == "set":
            parser.add_argument("file", metavar="FILE", help="titles: JSON list, or one a line")


def _set(options: argparse.Namespace) -> Result:
    path = Path(options.file)
    with path.open("rb") as file:
        titles, left_out = sort_titles(file.read(FILE_LIMIT + 1), str(path))
    owner = _owner(options)
    TitleLists(data_of(options).root).set(titles, **owner)
    value = {**owner, "titles": len(titles), "leftOut": [str(error) for error in left_out]}
    lines = [f"left out: {error}" for error in left_out]
    return Result(value, [*lines, f"{_shown(owner)}: {len(titles)} titles"])


def _show(options: argparse.Namespace) -> Result:
    owner = _owner(options)
    titles = TitleLists(data_of(options).root).get(**owner)
    if titles is None:
        raise StagingError(f"{_shown(owner)}: there is no catalogue")
    return Result({**owner, "titles": titles}, titles)


def _remove(options: argparse.Namespace) -> Result:
    owner = _owner(options)
    if not TitleLists(data_of(options).root).remove(**owner):
        raise StagingError(f"{_shown(owner)}: there is no catalogue")
    return Result(owner, [f"{_shown(owner)}: removed"])


def _owner(options: argparse.Namespace) -> dict[str, str]:
    """Return the device or product that the options name, after checking that it exists."""
    if bool(options.uuid) == bool(options.product):
        raise WireError("catalogue: name either a device (U) or --product NAME")
    with store(options) as database:
        if options.product:
            return {"product": database.call(find_product, options.product)}
        return {"uuid": database.call(look_up, options.uuid).uuid}


def _shown(owner: dict[str, str]) -> str:
    return " ".join(f"{kind} {name}" for kind, name in owner.items())
