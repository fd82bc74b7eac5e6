"""Devices: added, listed, their profiles to flash, and their tokens renewed."""

from __future__ import annotations

import argparse

from staging.commands.common import (
    Commands,
    Result,
    add_address_options,
    command,
    data_of,
    endpoints_of,
    group,
    store,
)
from staging.store import devices
from staging.store.bind_tokens import Renewal, renewal_of
from staging.times import iso_or_none, now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``device``."""
    device = group(commands, "device", common, "add, list and flash devices")
    add = command(device, "add", common, _add, "make a device")
    add.add_argument("--uuid", metavar="U", help="14 hexadecimal digits (default: random)")
    add.add_argument(
        "--development", action="store_true", help="under development: testers may use it"
    )
    command(device, "list", common, _list, "list the devices")
    profile = command(device, "profile", common, _profile, "print the profile to flash")
    profile.add_argument("uuid", metavar="U")
    add_address_options(profile)
    token = group(device, "token", common, "the secret with which a device registers")
    renew = command(
        token, "renew", common, _renew, "give a device another token; the old one is cut off"
    )
    renew.add_argument("uuid", metavar="U")


_RENEWALS: dict[str, str] = {
    Renewal.DONE: "",
    Renewal.WAITING: " BIND-TOKEN-WAITS",
    Renewal.CANNOT: " BIND-TOKEN-STAYS",
}


def _add(options: argparse.Namespace) -> Result:
    with store(options) as database:
        version = 0 if options.development else 1
        device = database.call(devices.add, options.uuid, now_ms(), version=version)
    value = {"uuid": device.uuid, "token": device.token, "bindToken": device.bind_token}
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _renew(options: argparse.Namespace) -> Result:
    with store(options) as database:
        device = database.call(devices.renew_token, options.uuid, now_ms())
    value = {"uuid": device.uuid, "token": device.token}
    lines = [f"{name} {text}" for name, text in value.items()]
    return Result(value, [*lines, f"flash it anew: story-cloud device profile {device.uuid}"])


def _list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        views = database.call(devices.views)
    rows = [
        {
            "uuid": view.device.uuid,
            "status": view.device.status,
            "osVersion": view.os_version,
            "batch": view.batch,
            "product": view.product,
            "accountUuid": view.account_uuid,
            "lastHeartbeatTime": iso_or_none(view.device.last_heartbeat_time),
            "bindTokenDiffers": view.device.bind_token_differs,
            "bindTokenRenewal": str(renewal_of(view.device)),
        }
        for view in views
    ]
    lines = [
        f"{row['uuid']} {row['status']} version={row['osVersion']} batch={row['batch']} "
        f"account={row['accountUuid'] or '-'} heartbeat={row['lastHeartbeatTime'] or '-'}"
        + (" BIND-TOKEN-DIFFERS" if row["bindTokenDiffers"] else "")
        + _RENEWALS[str(row["bindTokenRenewal"])]
        for row in rows
    ]
    return Result({"devices": rows}, lines or ["no devices"])


def _profile(options: argparse.Namespace) -> Result:
    from staging.identity.profiles import profile_file

    endpoints = endpoints_of(options)
    with store(options) as database:
        device = database.call(devices.get, options.uuid)
    text = profile_file(data_of(options), device, endpoints).decode()
    # The profile is JSON, with and without --json.
    options.json = False
    return Result({}, [text])
