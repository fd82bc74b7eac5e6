"""Products: added and listed."""

from __future__ import annotations

import argparse

from base.arguments import whole
from staging.commands.common import Commands, Result, command, group, store
from staging.store import product_setup
from staging.store.product_setup import TEMPLATES, TEST_DEVICES
from staging.times import iso, now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``product``."""
    product = group(commands, "product", common, "add and list products")
    add = command(product, "add", common, _add, "make a product with test devices")
    add.add_argument("name", metavar="NAME")
    add.add_argument(
        "--devices", type=whole, default=TEST_DEVICES, metavar="N", help="test devices"
    )
    add.add_argument("--template", choices=sorted(TEMPLATES), help="its data points")
    command(product, "list", common, _list, "list the products")


def _add(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = database.call(
            product_setup.add_product,
            options.name,
            now_ms(),
            test_devices=options.devices,
            template=options.template,
        )
    value = {"productId": product.id, "name": product.name, "devices": options.devices}
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        views = database.call(product_setup.products)
    rows = [
        {
            "productId": view.product.id,
            "name": view.product.name,
            "devices": view.devices,
            "dataPoints": view.data_points,
            "appIds": view.app_ids,
            "createTime": iso(view.product.create_time),
        }
        for view in views
    ]
    lines = [
        f"{view.product.id} {view.product.name} devices={view.devices} "
        f"data-points={view.data_points} apps={','.join(map(str, view.app_ids)) or '-'}"
        for view in views
    ]
    return Result({"products": rows}, lines or ["no products"])
