"""The list of devices by the filters of the console, as lines, JSON or CSV; and tags of devices.

Which devices are connected is asked of the running server; without one none is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from base.files import write_atomically
from staging import device_csv
from staging.commands.asking import ask
from staging.commands.common import (
    Commands,
    Result,
    TooMuchError,
    command,
    data_of,
    is_served,
    store,
)
from staging.errors import NoServerError, NotFoundError
from staging.store import Database, device_list, device_query, devices, found, tags
from staging.store.bind_tokens import Renewal, renewal_of
from staging.store.device_query import FILTERS, Presence, Sort, Updating, Wanted
from staging.times import iso_or_none, now_ms

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from staging.store.bulk import Step
    from staging.store.devices import DeviceView

# Devices of one look into the store.
PIECE = 500
EVERY = 10_000_000
# Devices that the running server lists for a command: of more it would be busy for the command too long.
SERVED = 2000

_RENEWALS: dict[str, str] = {
    Renewal.DONE: "",
    Renewal.WAITING: " BIND-TOKEN-WAITS",
    Renewal.CANNOT: " BIND-TOKEN-STAYS",
}


def add_list(device: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser) -> None:
    """Add the commands ``device list`` and ``device tag``."""
    listing = command(device, "list", common, _list, "list the devices")
    listing.add_argument(
        "--search", metavar="TEXT", help="in uuid, name, product, batch, version and tags"
    )
    for name, text in (
        ("presence", ", ".join(Presence)),
        ("product", "a product's name"),
        ("batch", "a batch's name"),
        ("version", "the version that runs"),
        ("owner", "development, free or family"),
        ("update", ", ".join(Updating)),
        ("tag", "a tag; of several all"),
    ):
        listing.add_argument(
            f"--{name}", action="append", default=[], metavar=name[0].upper(), help=text
        )
    listing.add_argument("--sort", metavar="COLUMN", help=", ".join(Sort))
    listing.add_argument("--order", metavar="up|down", help="the direction of --sort")
    listing.add_argument("--csv", metavar="FILE", help="write a table; - for standard output")
    tag = command(device, "tag", common, _tag, "put tags on devices, or take them away")
    tag.add_argument("uuids", nargs="+", metavar="UUID")
    tag.add_argument("--add", action="append", default=[], metavar="T")
    tag.add_argument("--remove", action="append", default=[], metavar="T")


def wanted_of(options: argparse.Namespace) -> Wanted:
    """Return what the options ask for; raises FieldError that names the option."""
    given = {name: list(getattr(options, name)) for name in FILTERS}
    for name, option in (("q", "search"), ("sort", "sort"), ("order", "order")):
        text = getattr(options, option)
        given |= {name: [text]} if text else {}
    return device_query.parse(
        given if options.sort else given | {"sort": [Sort.ADDED], "order": ["up"]}
    )


def _list(options: argparse.Namespace) -> Result:
    wanted, online = wanted_of(options), _online(options)
    with store(options) as database:
        limit = SERVED + 1 if is_served(options) else EVERY
        numbers = database.call(device_list.numbers, wanted, None, online, limit=limit)
        if len(numbers) == limit:
            raise TooMuchError
        if options.csv is not None:
            return _write_csv(options, database, numbers, set(online))
        rows = [
            _row(view, named.get(view.device.id, ()), online=view.device.id in connected)
            for connected in (set(online),)
            for start in range(0, len(numbers), PIECE)
            for views, named in (database.call(_piece, numbers[start : start + PIECE]),)
            for view in views
        ]
    return Result({"devices": rows}, [_line(row) for row in rows] or ["no devices"])


def _online(options: argparse.Namespace) -> list[int]:
    if is_served(options):
        return list(options.online)
    try:
        return [int(number) for number in ask(data_of(options).root, "online", {})["ids"]]
    except NoServerError:
        return []


def _piece(session: Session, ids: Sequence[int]) -> tuple[list[DeviceView], Any]:
    return devices.views_of(session, ids), tags.of(session, ids)


def _row(view: DeviceView, tagged: Sequence[str], *, online: bool) -> dict[str, Any]:
    device = view.device
    return {
        "uuid": device.uuid,
        "status": device.status,
        "presence": device_csv.presence(device.status, online=online),
        "osVersion": view.os_version,
        "batch": view.batch,
        "product": view.product,
        "accountUuid": view.account_uuid,
        "lastHeartbeatTime": iso_or_none(device.last_heartbeat_time),
        "bindTokenDiffers": device.bind_token_differs,
        "bindTokenRenewal": str(renewal_of(device)),
        "tags": list(tagged),
    }


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['uuid']} {row['status']} version={row['osVersion']} batch={row['batch']} "
        f"account={row['accountUuid'] or '-'} heartbeat={row['lastHeartbeatTime'] or '-'}"
        + (f" tags={', '.join(row['tags'])}" if row["tags"] else "")
        + (" ONLINE" if row["presence"] == Presence.ONLINE else "")
        + (" BIND-TOKEN-DIFFERS" if row["bindTokenDiffers"] else "")
        + _RENEWALS[str(row["bindTokenRenewal"])]
    )


def _write_csv(
    options: argparse.Namespace, database: Database, numbers: list[int], online: set[int]
) -> Result:
    from pathlib import Path

    from staging.console.shapes import device as shape
    from staging.identity.rights import Role, Viewer
    from staging.store import overview

    nobody, now = Viewer(0, Role.OPERATOR), now_ms()
    pieces = [device_csv.HEAD]
    for start in range(0, len(numbers), PIECE):
        rows = database.call(overview.by_ids, numbers[start : start + PIECE])
        shown = [shape(row, online=row.device.id in online, viewer=nobody, now=now) for row in rows]
        pieces.append(device_csv.to_csv(shown))
    text = "".join(pieces)
    if options.csv == "-":
        options.json = False  # the table is the output, with and without --json
        return Result({}, [text.replace("\r\n", "\n").removesuffix("\n")])
    write_atomically(Path(options.csv), text.encode(), mode=0o600)
    told = f"{len(numbers)} devices: {options.csv}"
    return Result({"file": options.csv, "devices": len(numbers)}, [told])


def _tag(options: argparse.Namespace) -> Result:
    from staging.store.bulk import parse_step  # not of the list, whose start it would slow down

    uuids = list(dict.fromkeys(uuid.lower() for uuid in options.uuids))
    step = parse_step("tag", None, options.add, options.remove)
    options.told = step.told
    with store(options) as database:
        changed = database.call(_change, uuids, step)
    rows = [{"uuid": uuid, "tags": list(has)} for uuid, has in changed.items()]
    return Result({"devices": rows}, [f"{r['uuid']} {', '.join(r['tags']) or '-'}" for r in rows])


def _change(session: Session, uuids: Sequence[str], step: Step) -> dict[str, tuple[str, ...]]:
    """Tag devices, all or none: of a command that failed half nobody knows which half."""
    numbers = found.numbers(session, uuids)
    for uuid, number in zip(uuids, numbers, strict=True):
        if number < 0:
            raise NotFoundError(f"device {uuid}: there is none; nothing was tagged")
    return {
        uuid: tags.change(session, number, step.add, step.remove)
        for uuid, number in zip(uuids, numbers, strict=True)
    }
