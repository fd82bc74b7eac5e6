"""One device: its page, its owner's access to it, its binding and its name."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from staging.api.accounts import unbind_device
from staging.console import shapes
from staging.console.call import Call, text_of
from staging.gateway.ear import Ear
from staging.store import devices, history, ota
from staging.store.order_rules import Status
from staging.store.overview import DeviceRow
from wire.abilities import LISTEN
from wire.text import parse_text


async def state(call: Call, row: DeviceRow) -> dict[str, Any]:
    """Return the content of a device's page: its row; for its owner also controls and update."""
    gateway = call.services.gateway
    shown = shapes.device(
        row, online=gateway.is_online(row.device.uuid), viewer=call.session.viewer,
        twin=gateway.has_twin(row.device.uuid), now=call.services.clock(),
        unasked=gateway.sessions.unasked_since(row.device.uuid),
    )  # fmt: skip
    shown |= {"bench": faults_of(call, row)}
    if not shown["mine"]:
        return {"device": shown, "points": [], "task": None, "offer": None, "listens": False}
    database, device_id = call.services.database, row.device.id
    described = await database.read(devices.description, row.device.uuid)
    view = await database.read(ota.latest, device_id)
    trial_log: list[str] = []
    if view is not None and view.task.status == Status.FAILED:
        trial_log = await database.read(history.trial_log, device_id, view.task.id)
    return {
        "device": shown,
        "points": described.get("resources", []),
        "task": shapes.task(view, trial_log),
        "offer": shapes.offer(await database.read(ota.new_version, device_id)),
        "listens": Ear(call.services.gateway.sessions).reads(row.device.uuid, LISTEN),
    }


def faults_of(call: Call, row: DeviceRow) -> list[str] | None:
    """Return the names of the faults that were made on purpose; None: this cloud makes none."""
    bench = call.services.bench
    return None if bench is None else list(bench.board.active(row.device.uuid))


async def one(call: Call) -> Response:
    """Return one device."""
    return JSONResponse(await state(call, call.row))


async def bind(call: Call) -> Response:
    """Bind a device to the caller by its bind token (open API 2.1)."""
    token = text_of(await call.body(), "token", limit=64, secret=True).strip()
    uuid, now = call.row.device.uuid, call.services.clock()
    await call.services.database.write(devices.bind, uuid, token, call.session.account_id, now)
    call.console.hub.notify(uuid)
    return JSONResponse({"bound": True})


async def unbind(call: Call) -> Response:
    """Unbind a device (open API 2.3)."""
    row = call.row
    receipt = await unbind_device(call.services, row.device.uuid, row.device.id)
    call.console.hub.notify(row.device.uuid)
    return JSONResponse({"bound": False, "receipt": receipt})


async def rename(call: Call) -> Response:
    """Rename a device (open API 2.2)."""
    row = call.row
    text = text_of(await call.body(), "name", limit=devices.NAME_LIMIT)
    name = parse_text("name", text, devices.NAME_LIMIT)
    now = call.services.clock()
    await call.services.database.write(devices.rename, row.device.id, name, now)
    call.console.hub.notify(row.device.uuid)
    return JSONResponse({"name": name})
