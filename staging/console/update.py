"""A device's update: the order, and its cancellation."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from staging.console.call import Call, id_of
from staging.store import ota
from staging.store.order_rules import ACTIVE


async def order(call: Call) -> Response:
    """Order an update (open API 5.3)."""
    row, body = call.row, await call.body()
    package_id, strategy_id = id_of(body, "packageId"), id_of(body, "strategyId")
    now = call.services.clock()
    await call.services.database.write(ota.create, row.device.id, package_id, strategy_id, now)
    call.services.gateway.send_pending_order(row.device.uuid)
    call.console.hub.notify(row.device.uuid)
    return JSONResponse({"ordered": True}, 201)


async def cancel(call: Call) -> Response:
    """Cancel a device's running update; the open API has no endpoint for this (docs/adr/0013)."""
    row = call.row
    task = await call.services.gateway.cancel_update(row.device.uuid)
    return JSONResponse({"over": task.status not in ACTIVE})
