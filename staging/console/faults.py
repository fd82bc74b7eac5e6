"""The fault bench on a device's page (`staging.bench`): what there is, what the device has now, and the switches."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from staging.bench.bench import Bench
from staging.bench.board import BenchOffError
from staging.bench.faults import catalogue
from staging.bench.works import state
from staging.console.call import Call, text_of
from wire.errors import FieldError


async def listing(call: Call) -> Response:
    """Return the faults that there are, and those that the device has."""
    found = await state(call.services.bench, call.row.device.uuid)
    return JSONResponse(found | {"kinds": catalogue() if found["on"] else []})


async def begin(call: Call) -> Response:
    """Give the device a fault for some seconds."""
    bench, uuid, body = _bench(call), call.row.device.uuid, await call.body()
    values = body.get("values", {})
    if not isinstance(values, dict):
        raise FieldError("values", values, "an object of values by name")
    fault, told = await bench.set(uuid, text_of(body, "name", limit=64), values)
    call.done.target = fault.shown
    call.console.hub.notify(uuid)
    return JSONResponse(await state(bench, uuid) | {"told": told}, 201)


async def clear(call: Call) -> Response:
    """End one of the device's faults, or all of them."""
    bench, uuid, body = _bench(call), call.row.device.uuid, await call.body()
    name = text_of(body, "name", limit=64) if "name" in body else None
    ended = await bench.clear(uuid, name)
    call.done.target = ", ".join(fault.name for fault in ended)
    call.console.hub.notify(uuid)
    return JSONResponse(await state(bench, uuid))


def _bench(call: Call) -> Bench:
    if call.services.bench is None:
        raise BenchOffError
    return call.services.bench
