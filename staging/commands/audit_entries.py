"""The audit log: shown, and written as CSV."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.orm import Session

from base.arguments import whole
from base.files import write_atomically
from staging.audit import HEAD, to_csv, to_json
from staging.commands.common import Commands, Result, command, group, store
from staging.data_dir import SECRET_MODE
from staging.store import Database, accounts, audit, devices
from staging.store.audit import Filter
from wire.errors import FieldError
from wire.profile import UUID_PATTERN

SHOWN = 50
# Entries of one look into the store.
PAGE = 1000


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``audit``."""
    group_of = group(commands, "audit", common, "who did what to which device")
    shown = command(group_of, "list", common, _list, "show the newest entries")
    shown.add_argument("--limit", type=whole, default=SHOWN, metavar="N", help=f"default: {SHOWN}")
    written = command(group_of, "export", common, _export, "write every entry as CSV")
    written.add_argument("--csv", type=Path, required=True, metavar="FILE", help="- for stdout")
    for each in (shown, written):
        each.add_argument("--device", default="", metavar="UUID", help="only what was done to it")
        each.add_argument("--actor", default="", metavar="NAME", help="only what they did")


def _list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        wanted = _filter(options)
        found = database.call(audit.page, wanted, _limit(options))
        if not found:
            database.call(_check_known, wanted)
        rows = [to_json(entry) for entry in found]
    lines = [
        f"{row['time']} {row['actor']} {row['source']} {row['action']} {row['device'] or '-'} "
        f"{row['outcome']} {row['target']}".rstrip()
        for row in rows
    ]
    return Result({"entries": rows}, lines or ["no entries"])


def _limit(options: argparse.Namespace) -> int:
    limit: int = options.limit
    if not 1 <= limit <= PAGE:
        raise FieldError("limit", limit, f"1 to {PAGE}; export writes all")
    return limit


def _export(options: argparse.Namespace) -> Result:
    with store(options) as database:
        wanted = _filter(options)
        pages = "".join(_pages(database, wanted))
        if not pages:
            database.call(_check_known, wanted)
        text = HEAD + pages
    if str(options.csv) == "-":
        options.json = False  # what is printed is CSV
        return Result({}, [text.rstrip("\r\n")])
    write_atomically(options.csv, text.encode(), mode=SECRET_MODE)
    count = text.count("\r\n") - 1
    return Result(
        {"entries": count, "csv": str(options.csv)}, [f"{count} entries in {options.csv}"]
    )


def _pages(database: Database, wanted: Filter) -> Iterator[str]:
    while True:
        found = database.call(audit.page, wanted, PAGE)
        yield to_csv(found)
        if len(found) < PAGE:
            return
        wanted = Filter(wanted.device, wanted.actor, wanted.subject_id, found[-1].id)


def _check_known(session: Session, wanted: Filter) -> None:
    """Refuse a device, or an account, that there is not: "no entries" would be taken for good news.

    Raises:
        NotFoundError: there is none, and nothing in the log names it.
    """
    if wanted.device:
        devices.get(session, wanted.device)
    if wanted.actor and not audit.page(session, Filter(actor=wanted.actor), 1):
        accounts.one(session, wanted.actor)


def _filter(options: argparse.Namespace) -> Filter:
    device = options.device.strip().lower()
    if device and not UUID_PATTERN.fullmatch(device):
        raise FieldError("device", options.device, "a device's uuid, 14 hexadecimal digits")
    return Filter(device=device, actor=options.actor)
