"""The list of products, their batches, and the devices of a batch."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.console.call import Call, number_of, text_of, whole_of
from staging.store import apps, devices, issue, product_setup, room
from staging.store.models import Batch, Device, Product
from wire.errors import FieldError
from wire.names import NAME_MAX

DEVICES_SHOWN = 200


async def listing(call: Call) -> Response:
    """Return every product with its batches, and the room that the store takes and has."""
    database = call.services.database
    found = await database.read(_products)
    free = await asyncio.to_thread(call.console.data.free_bytes)
    return JSONResponse(found | {"room": {"used": await database.read(room.used), "free": free}})


async def add(call: Call) -> Response:
    """Add a product with its test devices; no later answer contains their bind tokens."""
    body = await call.body()
    name = text_of(body, "name", limit=NAME_MAX)
    template = text_of(body, "template", empty=True) if body.get("template") else None
    if template is not None and template not in product_setup.TEMPLATES:
        raise FieldError("template", template, f"one of {', '.join(product_setup.TEMPLATES)}")
    count = whole_of(body, "testDevices") if "testDevices" in body else product_setup.TEST_DEVICES
    call.done.target = name

    def work(session: Session) -> tuple[Product, Batch, list[Device]]:
        now, maker = call.services.clock(), call.session.account_id
        made = product_setup.add_product(session, name, now, test_devices=count, template=template)
        (view,) = product_setup.batches(session, made.id)
        issue.note_maker(session, view.batch.id, maker)
        return made, view.batch, devices.of_batch(session, view.batch.id, count)

    made, batch, new = await call.services.database.write(work)
    return _made({"id": made.id}, batch, new)


async def add_batch(call: Call) -> Response:
    """Add a batch of devices; no later answer contains their bind tokens."""
    body = await call.body()
    product_id, count = number_of(call, "product"), whole_of(body, "count")
    name = call.done.target = text_of(body, "name", limit=product_setup.NAME_LIMIT)

    def work(session: Session) -> tuple[Batch, list[Device]]:
        now = call.services.clock()
        batch, new = product_setup.add_batch(session, product_id, name, count, now)
        issue.note_maker(session, batch.id, call.session.account_id)
        return batch, new

    batch, new = await call.services.database.write(work)
    return _made({"id": batch.id}, batch, new)


def _made(head: dict[str, Any], batch: Batch, new: list[Device]) -> Response:
    """Return the answer to whoever made devices, which alone shows what binds them."""
    shown = [{"uuid": device.uuid, "bindToken": device.bind_token} for device in new]
    value = head | {"batch": batch.name, "devices": shown}
    return JSONResponse(value, 201, headers={"Cache-Control": "no-store"})


async def batch_devices(call: Call) -> Response:
    """Return the devices of a batch: which there are, and whether their profiles were handed out."""
    batch_id = number_of(call, "batch")
    found = await call.services.database.read(devices.of_batch, batch_id, DEVICES_SHOWN)
    shown = [{"uuid": d.uuid, "issued": d.issue_time, "status": d.status} for d in found]
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
