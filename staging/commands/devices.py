"""Devices: added, listed, their profiles to flash, and their tokens renewed."""

from __future__ import annotations

import argparse

from staging.commands import bulk, device_lists
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
from staging.times import now_ms


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
    device_lists.add_list(device, common)
    bulk.add_commands(device, common)
    profile = command(device, "profile", common, _profile, "print the profile to flash")
    profile.add_argument("uuid", metavar="U")
    add_address_options(profile)
    token = group(device, "token", common, "the secret with which a device registers")
    renew = command(
        token, "renew", common, _renew, "give a device another token; the old one is cut off"
    )
    renew.add_argument("uuid", metavar="U")


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


def _profile(options: argparse.Namespace) -> Result:
    from staging.identity.profiles import profile_file

    endpoints = endpoints_of(options)
    with store(options) as database:
        device = database.call(devices.get, options.uuid)
    text = profile_file(data_of(options), device, endpoints).decode()
    # The profile is JSON, with and without --json.
    options.json = False
    return Result({}, [text])
