"""Backups of a cloud, its check, and what takes how much room."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from staging import backup, opening, restoring
from staging.commands.common import Commands, Result, command, data_of, database_of
from staging.errors import StagingError
from staging.releases import stock
from staging.store import copies, engine
from staging.taken_back import FILE_NAME
from staging.times import now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add ``backup``, ``restore``, ``check`` and ``sizes``."""
    make = command(
        commands, "backup", common, _backup,
        "save the store, the CA and the update repository in one file, also while the cloud runs",
    )  # fmt: skip
    make.add_argument("file", type=Path, metavar="FILE", help="a tar file; it is as secret as DIR")
    restore = command(
        commands,
        "restore",
        common,
        _restore,
        "put a backup in the place of a cloud that does not run",
    )
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.add_argument(
        "--replace", action="store_true", help="delete what is in a PostgreSQL already"
    )
    known = restore.add_mutually_exclusive_group()
    known.add_argument(
        "--journal", type=Path, metavar="FILE",
        help=f"the {FILE_NAME} of the folder that was saved, if it is not in DIR: what was erased and taken back "
        "since is done once more",
    )  # fmt: skip
    known.add_argument(
        "--without-journal",
        action="store_true",
        help="restore without it: what was erased and taken back since is there again",
    )
    command(commands, "check", common, _check, "look the whole store through for damage")
    command(commands, "sizes", common, _sizes, "show what takes how much room")


def _backup(options: argparse.Namespace) -> Result:
    data, where = data_of(options), database_of(options)
    opening.open_store(data, where).close()  # refuses one that is gone or damaged
    made = backup.make(data, where, options.file, now_ms())
    value = {"file": str(options.file), **made.to_json()}
    return Result(value, [f"saved {options.file}: {_about(made)}"])


def _restore(options: argparse.Namespace) -> Result:
    data, where = data_of(options), database_of(options)
    label = time.strftime("%Y%m%d-%H%M%S")
    wanted = restoring.Wanted(label, options.replace, options.journal, options.without_journal)
    made, asides = restoring.restore(data, where, options.file, wanted)
    opening.open_store(data, where).close()
    value = {
        **made.to_json(),
        "replaced": str(asides[0]) if asides else None,
        "replacedToo": [str(each) for each in asides[1:]],
        "takenBack": made.taken_back,
    }
    lines = [f"restored the backup of {made.time}: {_about(made)}"]
    if made.taken_back:
        lines.append(f"taken back once more, as since that backup: {made.taken_back} changes")
    if asides:
        lines.append(f"what was there is in {' and '.join(map(str, asides))}")
    return Result(value, lines)


def _about(made: backup.Summary) -> str:
    return f"schema {made.schema}, store {_size(made.size)}, {', '.join(made.files) or 'no other files'}"


def _check(options: argparse.Namespace) -> Result:
    path = engine.file_of(database_of(options))
    data = data_of(options)
    if path is not None:
        opening.check_whole(data, path)
    with_store = opening.open_store(data, database_of(options))
    try:
        odd = with_store.call(copies.odd_values)
        damaged = stock.look(with_store, data)
    finally:
        with_store.close()
    if damaged:
        raise StagingError("; ".join(each.text for each in damaged))
    value = {"sound": True, "oddValues": odd}
    lines = ["the store is sound"]
    if odd:
        lines.append(
            f"{odd} stored values cannot be read and are shown as null; the others are not affected"
        )
    return Result(value, lines)


def _sizes(options: argparse.Namespace) -> Result:
    data, where = data_of(options), database_of(options)
    opening.open_store(data, where).close()
    tables = copies.sizes(where)
    path = engine.file_of(where)
    files = [] if path is None else [path, path.with_name(f"{path.name}-wal")]
    total = sum(each.stat().st_size for each in files if each.exists())
    free = shutil.disk_usage(data.root).free
    value = {"tables": tables, "storeBytes": total or None, "diskFreeBytes": free}
    lines = [
        f"{each['table']:16} {each['rows']:>12,} rows"
        + ("" if each["bytes"] is None else f" {_size(each['bytes']):>10}")
        for each in tables
    ]
    return Result(
        value,
        [*lines, *([f"store {_size(total)}"] if total else []), f"free on the disk {_size(free)}"],
    )


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if count < 100 else f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
