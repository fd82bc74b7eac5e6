"""The list of devices."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from staging.console import shapes
from staging.console.call import Call
from staging.store import overview


async def listing(call: Call) -> Response:
    """Return the devices, those with the latest heartbeat first."""
    return JSONResponse(await snapshot(call))


async def snapshot(call: Call, uuids: set[str] | None = None) -> dict[str, Any]:
    """Return the rows of the list: of all devices that match the search, or only of ``uuids``."""
    viewer = call.session.viewer
    database, search = call.services.database, call.query("q")[:64].strip()
    rows = await database.read(overview.rows, uuids, search, viewer)
    shown = [
        shapes.device(
            row,
            online=call.services.gateway.is_online(row.device.uuid),
            viewer=viewer,
            twin=call.services.gateway.has_twin(row.device.uuid),
            now=call.services.clock(),
        )
        for row in rows
    ]
    total = await database.read(overview.count, search, viewer) if uuids is None else None
    return {"devices": shown, "total": total}
