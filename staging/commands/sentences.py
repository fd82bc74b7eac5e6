"""Sentences: carried out on a device, and the record of what was heard."""

from __future__ import annotations

import argparse
import os

from staging.commands.asking import ask
from staging.commands.audited import system_user
from staging.commands.common import Commands, Result, command, data_of, store
from staging.errors import StagingError
from staging.recognition.summary import summary
from staging.times import iso


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add ``say`` and ``heard``."""
    say = command(commands, "say", common, _say, "let a device do what a sentence asks for")
    say.add_argument("uuid", metavar="U")
    say.add_argument("text", metavar="SENTENCE", help='such as "播放小兔子乖乖" or "音量调到五"')
    heard = command(commands, "heard", common, _heard, "show what was said and done, newest first")
    heard.add_argument("uuid", metavar="U", nargs="?", help="one device (default: all)")
    heard.add_argument("--limit", type=_limit, default=20, metavar="N")


def _limit(text: str) -> int:
    from staging.recognition.outcomes import PAGE_LIMIT

    if not (text.isascii() and text.isdigit() and 0 < int(text) <= PAGE_LIMIT):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected 1 to {PAGE_LIMIT}")
    return int(text)


def _say(options: argparse.Namespace) -> Result:
    wanted = {"uuid": options.uuid, "text": options.text, "user": system_user(os.environ)}
    outcome = ask(data_of(options).root, "say", wanted)
    options.server_did = True
    if not outcome["done"]:
        raise StagingError(f"say: {summary(outcome)}")
    return Result(outcome, [summary(outcome)])


def _heard(options: argparse.Namespace) -> Result:
    from staging.recognition.lookup import look_up
    from staging.recognition.outcomes import OutcomeLog

    uuid = options.uuid.lower() if options.uuid else None
    if uuid:
        with store(options) as database:
            database.call(look_up, uuid)
    rows = OutcomeLog(data_of(options).root).recent(uuid, options.limit)
    lines = [f"{row['id']} {iso(row['time'])} {row['uuid']} {summary(row)}" for row in rows]
    return Result({"outcomes": rows}, lines or ["nothing was said yet"])
