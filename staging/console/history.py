"""The values of a data point over time, for a chart."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from staging.console.call import Call
from staging.store.series import series
from wire.errors import FieldError

SERIES_HOURS = {1, 24, 24 * 7, 24 * 30}


async def values(call: Call) -> Response:
    """Return a data point's values of the last ``hours`` hours, for a chart."""
    row, key, hours = call.row, call.query("key"), call.query_int("hours")
    if hours not in SERIES_HOURS:
        raise FieldError("hours", hours, f"one of {sorted(SERIES_HOURS)}")
    end = call.services.clock()
    start = end - hours * 3_600_000
    found = await call.services.database.read(series, row.device.id, key, start, end)
    shown = [[point.ts, point.value] for point in found]
    return JSONResponse({"key": key, "start": start, "end": end, "values": shown})
