"""One product in the console: its data points, templates for them, and the apps it is bound to."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.console.call import Call, ConsoleError, number_of, text_of, texts_of
from staging.store import apps, product_setup
from wire.datapoints import DataType
from wire.errors import FieldError

# The name is also the resource's path on the device and the open API's propertyKey.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


async def one(call: Call) -> Response:
    """Return a product with the descriptions of its data points, and every app."""
    return JSONResponse(await call.services.database.read(_product, number_of(call, "product")))


async def apply_template(call: Call) -> Response:
    """Add a template's data points to a product, except those that it has already."""
    number, template = number_of(call, "product"), text_of(await call.body(), "template")
    if template not in product_setup.TEMPLATES:
        raise FieldError("template", template, f"one of {', '.join(product_setup.TEMPLATES)}")
    call.done.target = f"product {number}: {template}"
    added = await call.services.database.write(product_setup.apply_template, number, template)
    return JSONResponse({"added": [point["name"] for point in added]}, 201)


async def add_point(call: Call) -> Response:
    """Add a data point from the values of the form."""
    number, entry = number_of(call, "product"), _entry(await call.body())
    call.done.target = f"product {number}: {entry['name']}"
    kept = await call.services.database.write(product_setup.add_data_point, number, entry)
    return JSONResponse(kept, 201)


async def remove_point(call: Call) -> Response:
    """Remove a data point from a product."""
    number, name = number_of(call, "product"), text_of(await call.body(), "name")
    call.done.target = f"product {number}: {name}"
    await call.services.database.write(product_setup.remove_data_point, number, name)
    return JSONResponse({"name": name})


def _entry(body: dict[str, Any]) -> dict[str, Any]:
    """Return a form's values as a self-description's entry (open API 3.1); raises FieldError."""
    name = text_of(body, "name")
    if not _NAME.fullmatch(name):
        expected = "1 to 64 letters, digits, - and _, of which the first is a letter"
        raise FieldError("name", name, expected)
    entry: dict[str, Any] = {
        "name": name,
        "resourceType": "",
        "type": text_of(body, "type"),
        "label": text_of(body, "label", limit=product_setup.NAME_LIMIT, empty=True),
        "description": text_of(body, "description", empty=True),
        "uri": f"/{name}",
        "protocol": ["COAP", "HTTP"],
        "method": texts_of(body, "method"),
    }
    if entry["type"] == DataType.INT and "pattern" in body:
        entry["pattern"] = body["pattern"]
    elif entry["type"] == DataType.STRING:
        entry["pattern"] = {}  # as in the open API document
    return entry


def _product(session: Session, number: int) -> dict[str, Any]:
    for view in product_setup.products(session):
        if view.product.id == number:
            break
    else:
        raise ConsoleError(404, "not_found", f"product {number}: there is none")
    every = [
        {"id": app.id, "name": app.name, "type": app.type, "bound": app.id in view.app_ids}
        for app in apps.list_apps(session)
    ]
    return {
        "id": number,
        "name": view.product.name,
        "devices": view.devices,
        "points": product_setup.data_points(session, number),
        "templates": [
            {"name": name, "points": list(names)} for name, names in product_setup.TEMPLATES.items()
        ],
        "types": list(DataType),
        "apps": every,
    }
