"""Batches of devices: added and listed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from base.arguments import whole
from staging.commands.common import (
    Commands,
    Result,
    add_address_options,
    add_product_option,
    command,
    data_of,
    endpoints_of,
    group,
    product_of,
    store,
)
from staging.identity import ca
from staging.store import issue, product_setup
from staging.times import now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``batch``."""
    batch = group(commands, "batch", common, "add and list batches of devices")
    add = command(batch, "add", common, _add, "make a batch of devices")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--count", type=whole, required=True, metavar="N")
    add_product_option(add)
    hand_out = command(
        batch, "export", common, _export, "hand out a batch: profiles, a table and labels"
    )
    hand_out.add_argument("name", metavar="NAME")
    hand_out.add_argument("--profiles", type=Path, required=True, metavar="DIR")
    hand_out.add_argument("--csv", type=Path, metavar="FILE", help="uuids and bind tokens")
    hand_out.add_argument(
        "--labels", type=Path, metavar="PDF", help="QR labels, 24 on a page of A4"
    )
    hand_out.add_argument(
        "--again", action="store_true", help="also the devices that were issued before"
    )
    add_product_option(hand_out)
    add_address_options(hand_out)
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
            {
                "batchId": view.batch.id,
                "name": view.batch.name,
                "devices": view.devices,
                "issued": database.call(issue.counts, view.batch.id)[1],
            }
            for view in database.call(product_setup.batches, product.id)
        ]
    lines = [
        f"{r['batchId']} {r['name']} devices={r['devices']} issued={r['issued']}" for r in rows
    ]
    return Result({"product": product.name, "batches": rows}, lines or ["no batches"])


def _export(options: argparse.Namespace) -> Result:
    from staging.labels.export import Wanted, export  # the other commands need no QR codes

    endpoints = endpoints_of(options)
    wanted = Wanted(options.profiles, options.csv, options.labels, options.again)
    authority = ca.ensure_authority(data_of(options).ca)
    with store(options) as database:
        product = product_of(options, database)
        batch = database.call(issue.find_batch, product, options.name)
        done = export(
            database, product, batch, wanted, endpoints, authority, now_ms(),
            lambda count, whole: print(f"{count} of {whole}", file=sys.stderr),
        )  # fmt: skip
    value = {
        "batch": batch.name, "product": product.name, "issued": done.issued,
        "leftOut": done.left_out, "resumed": done.resumed, "profiles": str(wanted.profiles),
    }  # fmt: skip
    told = f"batch {batch.name}: {done.issued} devices issued to {wanted.profiles}"
    if done.left_out:
        told += f"; {done.left_out} were issued before and are left out (--again)"
    if done.resumed:
        told += "; an export that was broken off is complete now"
    return Result(value, [told])
