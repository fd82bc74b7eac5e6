"""Commands about products, their batches and their data points."""

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
from staging.store.product_setup import TEMPLATES, TEST_DEVICES
from staging.times import iso, now_ms
from wire.datapoints import DataPointDescription, DataType, Method, Range
from wire.errors import FieldError

_VOICE = "voice"


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the groups ``product``, ``batch`` and ``datapoint``."""
    product = group(commands, "product", common, "add and list products")
    add = command(product, "add", common, _product_add, "make a product with test devices")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--devices", type=int, default=TEST_DEVICES, metavar="N", help="test devices")
    add.add_argument("--template", choices=sorted(TEMPLATES), help="its data points")
    command(product, "list", common, _product_list, "list the products")

    batch = group(commands, "batch", common, "add and list batches of devices")
    add = command(batch, "add", common, _batch_add, "make a batch of devices")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--count", type=int, required=True, metavar="N")
    add_product_option(add)
    add_product_option(command(batch, "list", common, _batch_list, "list a product's batches"))

    point = group(commands, "datapoint", common, "add, list and remove data points")
    _add_point_command(point, common)
    template = command(point, "template", common, _point_template, "add a template's data points")
    template.add_argument("template", choices=sorted(TEMPLATES))
    add_product_option(template)
    remove = command(point, "remove", common, _point_remove, "take a data point from a product")
    remove.add_argument("name", metavar="NAME")
    add_product_option(remove)
    add_product_option(command(point, "list", common, _point_list, "list a product's data points"))


def _add_point_command(
    point: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    add = command(point, "add", common, _point_add, "add a data point to a product")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--type", choices=[kind.value for kind in DataType], required=True)
    add.add_argument("--label", default="", metavar="T")
    add.add_argument("--description", default="", metavar="T")
    add.add_argument("--range", metavar="LOW:HIGH[:STEP]", help="of an int, such as 0:16:1")
    add.add_argument("--read-only", action="store_true", help="GET alone (default: GET and PUT)")
    add.add_argument("--voice", action="store_true", help="it can be spoken to")
    add_product_option(add)


def _product_add(options: argparse.Namespace) -> Result:
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


def _product_list(options: argparse.Namespace) -> Result:
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


def _batch_add(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        batch, made = database.call(
            product_setup.add_batch, product.id, options.name, options.count, now_ms()
        )
    rows = [{"uuid": d.uuid, "token": d.token, "bindToken": d.bind_token} for d in made]
    value = {"batchId": batch.id, "name": batch.name, "product": product.name, "devices": rows}
    return Result(value, [f"{r['uuid']} {r['token']} {r['bindToken']}" for r in rows])


def _batch_list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        rows = [
            {"batchId": view.batch.id, "name": view.batch.name, "devices": view.devices}
            for view in database.call(product_setup.batches, product.id)
        ]
    lines = [f"{r['batchId']} {r['name']} devices={r['devices']}" for r in rows]
    return Result({"product": product.name, "batches": rows}, lines or ["no batches"])


def _point_add(options: argparse.Namespace) -> Result:
    methods = (Method.GET,) if options.read_only else (Method.GET, Method.PUT)
    entry = DataPointDescription(
        name=options.name,
        type=DataType(options.type),
        label=options.label,
        description=options.description,
        methods=methods,
        pattern=_range(options.range),
        resource_type=_VOICE if options.voice else "",
    )
    with store(options) as database:
        product = product_of(options, database)
        kept = database.call(product_setup.add_data_point, product.id, entry.to_json())
    return _points_result(product.name, [kept])


def _range(text: str | None) -> Range | None:
    if text is None:
        return None
    try:
        return Range(*(int(part) for part in text.split(":")))
    except (TypeError, ValueError) as error:
        raise FieldError("range", text, "LOW:HIGH or LOW:HIGH:STEP, such as 0:16:1") from error


def _point_template(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        added = database.call(product_setup.apply_template, product.id, options.template)
    return _points_result(product.name, added)


def _point_remove(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        database.call(product_setup.remove_data_point, product.id, options.name)
        left = database.call(product_setup.data_points, product.id)
    return _points_result(product.name, left)


def _point_list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        points = database.call(product_setup.data_points, product.id)
    return _points_result(product.name, points)


def _points_result(product: str, points: list[dict[str, object]]) -> Result:
    lines = [f"{p['name']} {p['type']} {'/'.join(_methods(p))} {p['label']}" for p in points]
    return Result({"product": product, "dataPoints": points}, lines or ["no data points"])


def _methods(point: dict[str, object]) -> list[str]:
    methods = point["method"]
    return [str(method) for method in methods] if isinstance(methods, list) else []
