"""Bind tokens that are to be renewed: which wait for their devices, which cannot be, and renewing one by hand."""

from __future__ import annotations

import argparse

from sqlalchemy.orm import Session

from staging.commands.common import Commands, Result, command, group, store
from staging.store import bind_tokens, devices
from staging.store.bind_tokens import Renewal
from staging.times import now_ms

_MEANINGS = {
    Renewal.WAITING: "waits until the device is connected",
    Renewal.CANNOT: "its firmware takes no new one: who knows the old one can bind it; update or flash it",
}


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``bind-token``."""
    tokens = group(commands, "bind-token", common, "bind tokens that families have left behind")
    text = "list the devices whose bind token is not renewed yet"
    command(tokens, "list", common, _list, text)
    renew = command(tokens, "renew", common, _renew, "give a device a new bind token")
    renew.add_argument("uuid", metavar="U")


def _list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        found = database.call(bind_tokens.pending)
    rows = [
        {"uuid": each.uuid, "renewal": str(each.renewal), "owner": each.owner} for each in found
    ]
    lines = [f"{each.uuid} {each.renewal} {_MEANINGS[each.renewal]}" for each in found]
    return Result({"devices": rows}, lines or ["no bind token waits to be renewed"])


def _renew(options: argparse.Namespace) -> Result:
    with store(options) as database:
        renewal = database.call(_order, options.uuid)
    uuid = options.uuid.lower()
    value = {"uuid": uuid, "renewal": str(renewal)}
    return Result(value, [f"{uuid} {renewal} {_MEANINGS[renewal]}"])


def _order(session: Session, uuid: str) -> Renewal:
    device = devices.get(session, uuid)
    bind_tokens.renew(session, device, None, now_ms())
    return bind_tokens.renewal_of(device)
