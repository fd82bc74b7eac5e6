"""The data points of a product: added, listed and removed."""

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
from staging.store.product_setup import TEMPLATES
from wire.datapoints import DataPointDescription, DataType, Method, Range
from wire.errors import FieldError

_VOICE = "voice"


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``datapoint``."""
    point = group(commands, "datapoint", common, "add, list and remove data points")
    _add_point_command(point, common)
    template = command(point, "template", common, _template, "add a template's data points")
    template.add_argument("template", choices=sorted(TEMPLATES))
    add_product_option(template)
    remove = command(point, "remove", common, _remove, "take a data point from a product")
    remove.add_argument("name", metavar="NAME")
    add_product_option(remove)
    add_product_option(command(point, "list", common, _list, "list a product's data points"))


def _add_point_command(
    point: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    add = command(point, "add", common, _add, "add a data point to a product")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--type", choices=[kind.value for kind in DataType], required=True)
    add.add_argument("--label", default="", metavar="T")
    add.add_argument("--description", default="", metavar="T")
    add.add_argument("--range", metavar="LOW:HIGH[:STEP]", help="of an int, such as 0:16:1")
    add.add_argument("--read-only", action="store_true", help="GET alone (default: GET and PUT)")
    add.add_argument("--voice", action="store_true", help="it can be spoken to")
    add_product_option(add)


def _add(options: argparse.Namespace) -> Result:
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


def _template(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        added = database.call(product_setup.apply_template, product.id, options.template)
    return _points_result(product.name, added)


def _remove(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        database.call(product_setup.remove_data_point, product.id, options.name)
        left = database.call(product_setup.data_points, product.id)
    return _points_result(product.name, left)


def _list(options: argparse.Namespace) -> Result:
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
