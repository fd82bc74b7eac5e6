"""The list of products, their batches, and the devices of a batch."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.console.call import Call, id_of, number_of, text_of
from staging.store import apps, devices, product_setup
from wire.errors import FieldError

DEVICES_SHOWN = 200


async def listing(call: Call) -> Response:
    """Return every product with its batches."""
    return JSONResponse(await call.services.database.read(_products))


async def add(call: Call) -> Response:
    """Add a product with its test devices."""
    body = await call.body()
    name, template = text_of(body, "name"), body.get("template") or None
    if template is not None and template not in product_setup.TEMPLATES:
        raise FieldError("template", template, f"one of {', '.join(product_setup.TEMPLATES)}")
    count = id_of(body, "testDevices") if "testDevices" in body else product_setup.TEST_DEVICES
    made = await call.services.database.write(
        product_setup.add_product,
        name,
        call.services.clock(),
        test_devices=count,
        template=template,
    )
    return JSONResponse({"id": made.id}, 201)


async def add_batch(call: Call) -> Response:
    """Add a batch of devices."""
    body = await call.body()
    product_id, name, count = (
        number_of(call, "product"),
        text_of(body, "name"),
        id_of(body, "count"),
    )
    batch, _ = await call.services.database.write(
        product_setup.add_batch, product_id, name, count, call.services.clock()
    )
    return JSONResponse({"id": batch.id}, 201)


async def batch_devices(call: Call) -> Response:
    """Return the devices of a batch with their bind tokens."""
    batch_id = number_of(call, "batch")
    found = await call.services.database.read(devices.of_batch, batch_id, DEVICES_SHOWN)
    shown = [{"uuid": d.uuid, "bindToken": d.bind_token, "name": d.name} for d in found]
    return JSONResponse({"devices": shown, "limit": DEVICES_SHOWN})


def _products(session: Session) -> dict[str, Any]:
    names = {app.id: app.name for app in apps.list_apps(session)}
    return {
        "templates": list(product_setup.TEMPLATES),
        "products": [
            {
                "id": view.product.id,
                "name": view.product.name,
                "devices": view.devices,
                "createTime": view.product.create_time,
                "apps": [names.get(app_id, str(app_id)) for app_id in view.app_ids],
                "points": [
                    {"name": point["name"], "label": point.get("label", "")}
                    for point in product_setup.data_points(session, view.product.id)
                ],
                "batches": [
                    {"id": b.batch.id, "name": b.batch.name, "devices": b.devices}
                    for b in product_setup.batches(session, view.product.id)
                ],
            }
            for view in product_setup.products(session)
        ],
    }
