"""The command-line commands of recognition: ``say``, ``heard`` and ``catalogue``."""

from __future__ import annotations

import argparse
from pathlib import Path

from staging.commands.command_socket import ask
from staging.commands.common import Commands, Result, command, data_of, group, store
from staging.errors import StagingError
from staging.recognition.lookup import check_product, look_up
from staging.recognition.outcomes import PAGE_LIMIT, OutcomeLog
from staging.recognition.summary import summary
from staging.recognition.title_lists import FILE_LIMIT, Catalogues, parse_titles
from staging.times import iso
from wire.errors import WireError


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add ``say``, ``heard`` and the group ``catalogue``."""
    say = command(commands, "say", common, _say, "let a device do what a sentence asks for")
    say.add_argument("uuid", metavar="U")
    say.add_argument("text", metavar="SENTENCE", help='such as "播放小兔子乖乖" or "音量调到五"')
    heard = command(commands, "heard", common, _heard, "show what was said and done, newest first")
    heard.add_argument("uuid", metavar="U", nargs="?", help="one device (default: all)")
    heard.add_argument("--limit", type=_limit, default=20, metavar="N")
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


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= PAGE_LIMIT):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected 1 to {PAGE_LIMIT}")
    return int(text)


def _say(options: argparse.Namespace) -> Result:
    outcome = ask(data_of(options).root, "say", {"uuid": options.uuid, "text": options.text})
    if not outcome["done"]:
        raise StagingError(f"say: {summary(outcome)}")
    return Result(outcome, [summary(outcome)])


def _heard(options: argparse.Namespace) -> Result:
    uuid = options.uuid.lower() if options.uuid else None
    if uuid:
        with store(options) as database:
            database.call(look_up, uuid)
    rows = OutcomeLog(data_of(options).root).recent(uuid, options.limit)
    lines = [f"{row['id']} {iso(row['time'])} {row['uuid']} {summary(row)}" for row in rows]
    return Result({"outcomes": rows}, lines or ["nothing was said yet"])


def _set(options: argparse.Namespace) -> Result:
    path = Path(options.file)
    with path.open("rb") as file:
        titles = parse_titles(file.read(FILE_LIMIT + 1), str(path))
    owner = _owner(options)
    Catalogues(data_of(options).root).set(titles, **owner)
    return Result({**owner, "titles": len(titles)}, [f"{_shown(owner)}: {len(titles)} titles"])


def _show(options: argparse.Namespace) -> Result:
    owner = _owner(options)
    titles = Catalogues(data_of(options).root).get(**owner)
    if titles is None:
        raise StagingError(f"{_shown(owner)}: there is no catalogue")
    return Result({**owner, "titles": titles}, titles)


def _remove(options: argparse.Namespace) -> Result:
    owner = _owner(options)
    if not Catalogues(data_of(options).root).remove(**owner):
        raise StagingError(f"{_shown(owner)}: there is no catalogue")
    return Result(owner, [f"{_shown(owner)}: removed"])


def _owner(options: argparse.Namespace) -> dict[str, str]:
    """Return the device or product that the options name, after checking that it exists."""
    if bool(options.uuid) == bool(options.product):
        raise WireError("catalogue: name either a device (U) or --product NAME")
    with store(options) as database:
        if options.product:
            database.call(check_product, options.product)
            return {"product": options.product}
        return {"uuid": database.call(look_up, options.uuid).uuid}


def _shown(owner: dict[str, str]) -> str:
    return " ".join(f"{kind} {name}" for kind, name in owner.items())
