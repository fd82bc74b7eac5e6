"""Batches of devices: added and listed."""

from __future__ import annotations

import argparse

from staging.commands.common import (
    Commands,
    Result,
    add_product_option,
    command,
    group,
    product_of,
    store,
)
from staging.store import product_setup
from staging.times import now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``batch``."""
    batch = group(commands, "batch", common, "add and list batches of devices")
    add = command(batch, "add", common, _add, "make a batch of devices")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--count", type=int, required=True, metavar="N")
    add_product_option(add)
    add_product_option(command(batch, "list", common, _list, "list a product's batches"))


def _add(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        batch, made = database.call(
            product_setup.add_batch, product.id, options.name, options.count, now_ms()
        )
    rows = [{"uuid": d.uuid, "token": d.token, "bindToken": d.bind_token} for d in made]
    value = {"batchId": batch.id, "name": batch.name, "product": product.name, "devices": rows}
    return Result(value, [f"{r['uuid']} {r['token']} {r['bindToken']}" for r in rows])


def _list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        rows = [
            {"batchId": view.batch.id, "name": view.batch.name, "devices": view.devices}
            for view in database.call(product_setup.batches, product.id)
        ]
    lines = [f"{r['batchId']} {r['name']} devices={r['devices']}" for r in rows]
    return Result({"product": product.name, "batches": rows}, lines or ["no batches"])
