"""Devices in the console: the list, and one device with its controls, voice and updates."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from starlette.responses import JSONResponse, Response

from audio.wav import render_wav
from staging.api.control import find_uri
from staging.console import queries, shapes, speech
from staging.console.call import Call, ConsoleError, id_of, text_of
from staging.errors import ErrorCode, RefusedError
from staging.store import devices, ota
from staging.store.order_rules import ACTIVE, Status
from wire.errors import FieldError, MissingFieldError

UTTERANCES_PAGE = 10
SERIES_HOURS = {1, 24, 24 * 7, 24 * 30}
CONTENT_LIMIT = 4096


async def listing(call: Call) -> Response:
    """Return the devices, those with the latest heartbeat first."""
    return JSONResponse(await snapshot(call))


async def snapshot(call: Call, uuids: set[str] | None = None) -> dict[str, Any]:
    """Return the rows of the list: of all devices that match the search, or only of ``uuids``."""
    database, search = call.services.database, call.query("q")[:64].strip()
    rows = await database.read(queries.rows, uuids, search)
    shown = [
        shapes.device(
            row,
            online=call.services.gateway.is_online(row.device.uuid),
            account_id=call.session.account_id,
        )
        for row in rows
    ]
    total = await database.read(queries.count, search) if uuids is None else None
    return {"devices": shown, "total": total}


async def find(call: Call) -> queries.DeviceRow:
    """Return the device that the path names; raises ConsoleError 404."""
    uuid = call.param("uuid")
    rows = await call.services.database.read(queries.rows, {uuid})
    if not rows:
        raise ConsoleError(404, "not_found", f"device {uuid}: there is none")
    return rows[0]


async def owned(call: Call) -> queries.DeviceRow:
    """Return the device that the path names; it must be bound to the caller (★ in the open API).

    Raises:
        ConsoleError: 404, there is no such device.
        RefusedError: it is not bound to the caller.
    """
    row = await find(call)
    if row.account_id != call.session.account_id:
        raise RefusedError(ErrorCode.NOT_BOUND, row.device.uuid)
    return row


async def state(call: Call, row: queries.DeviceRow) -> dict[str, Any]:
    """Return the content of a device's page: its row; for its owner also controls and update."""
    mine = row.account_id == call.session.account_id
    online = call.services.gateway.is_online(row.device.uuid)
    shown = shapes.device(row, online=online, account_id=call.session.account_id)
    if not mine:
        return {"device": shown, "points": [], "task": None, "offer": None}
    database, device_id = call.services.database, row.device.id
    description = await _description(call, row)
    view = await database.read(ota.latest, device_id)
    trial_log: list[str] = []
    if view is not None and view.task.status == Status.FAILED:
        trial_log = await database.read(queries.trial_log, device_id, view.task.id)
    return {
        "device": shown,
        "points": description.get("resources", []),
        "task": shapes.task(view, trial_log),
        "offer": shapes.offer(await database.read(ota.new_version, device_id)),
    }


async def one(call: Call) -> Response:
    """Return one device."""
    return JSONResponse(await state(call, await find(call)))


async def bind(call: Call) -> Response:
    """Bind a device to the caller by its bind token (open API 2.1)."""
    token = text_of(await call.body(), "token", limit=64).strip()
    uuid, now = call.param("uuid").lower(), call.services.clock()
    await call.services.database.write(devices.bind, uuid, token, call.session.account_id, now)
    call.console.hub.notify(uuid)
    return JSONResponse({"bound": True})


async def unbind(call: Call) -> Response:
    """Unbind a device (open API 2.3)."""
    row = await owned(call)
    await call.services.database.write(devices.unbind, row.device.id, call.services.clock())
    call.console.hub.notify(row.device.uuid)
    return JSONResponse({"bound": False})


async def rename(call: Call) -> Response:
    """Rename a device (open API 2.2); an empty name removes it."""
    row = await owned(call)
    name = text_of(await call.body(), "name", limit=64, empty=True)
    if not name.isprintable():
        raise FieldError("name", name, "printable characters")
    now = call.services.clock()
    await call.services.database.write(devices.rename, row.device.id, name, now)
    call.console.hub.notify(row.device.uuid)
    return JSONResponse({"name": name})


async def control(call: Call) -> Response:
    """Read or set a data point; returns the device's answer, even an error (open API 3.4)."""
    row, body = await owned(call), await call.body()
    method, name = text_of(body, "method"), text_of(body, "name")
    if method not in {"GET", "PUT"}:
        raise RefusedError(ErrorCode.METHOD_INVALID, f"got {method!r}, expected GET or PUT")
    content = body.get("content", "") if method == "PUT" else ""
    if method == "PUT" and "content" not in body:
        raise MissingFieldError("content", "the value to set")
    if not isinstance(content, str) or len(content) > CONTENT_LIMIT:
        raise FieldError("content", content, f"text of at most {CONTENT_LIMIT} characters")
    uri = find_uri(await _description(call, row), name)
    began = time.monotonic()
    code, text = await call.services.gateway.control(row.device.uuid, method, uri, content)
    took = round((time.monotonic() - began) * 1000)
    return JSONResponse({"code": code, "content": text, "name": name, "ms": took})


async def _description(call: Call, row: queries.DeviceRow) -> dict[str, Any]:
    if row.device.description is not None:
        return row.device.description
    product_id = row.device.product_id
    return await call.services.database.read(queries.product_points, product_id)


async def utterances(call: Call) -> Response:
    """Return a page of utterances, newest first, with waveforms."""
    row, before = await owned(call), call.query_int("before")
    found, following = await call.services.database.read(
        queries.utterances, row.device.id, before, UTTERANCES_PAGE
    )
    shown = await asyncio.to_thread(lambda: [shapes.utterance(spoken) for spoken in found])
    return JSONResponse({"utterances": shown, "next": following})


async def audio(call: Call) -> Response:
    """Return an utterance as WAV, or a byte range of it."""
    row = await owned(call)
    start, number = int(call.param("start")), int(call.param("number"))
    spoken = await call.services.database.read(queries.utterance, row.device.id, start, number)
    if spoken is None:
        raise ConsoleError(404, "not_found", f"utterance {number}: there is none")
    body = await asyncio.to_thread(lambda: render_wav(speech.decode(spoken)[0]))
    # Not cached: more segments may still arrive.
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "no-store"}
    try:
        wanted = speech.byte_range(call.request.headers.get("range"), len(body))
    except ValueError:
        headers["Content-Range"] = f"bytes */{len(body)}"
        return Response(status_code=416, headers=headers)
    if wanted is None:
        return Response(body, headers=headers, media_type="audio/wav")
    low, high = wanted
    headers["Content-Range"] = f"bytes {low}-{high}/{len(body)}"
    return Response(body[low : high + 1], 206, headers, media_type="audio/wav")


async def series(call: Call) -> Response:
    """Return a data point's values of the last ``hours`` hours, for a chart."""
    row, key, hours = await owned(call), call.query("key"), call.query_int("hours")
    if hours not in SERIES_HOURS:
        raise FieldError("hours", hours, f"one of {sorted(SERIES_HOURS)}")
    end = call.services.clock()
    start = end - hours * 3_600_000
    found = await call.services.database.read(queries.series, row.device.id, key, start, end)
    values = [[point.ts, point.value] for point in found]
    return JSONResponse({"key": key, "start": start, "end": end, "values": values})


async def update(call: Call) -> Response:
    """Order an update (open API 5.3)."""
    row, body = await owned(call), await call.body()
    package_id, strategy_id = id_of(body, "packageId"), id_of(body, "strategyId")
    now = call.services.clock()
    await call.services.database.write(ota.create, row.device.id, package_id, strategy_id, now)
    call.services.gateway.send_pending_order(row.device.uuid)
    call.console.hub.notify(row.device.uuid)
    return JSONResponse({"ordered": True}, 201)


async def cancel_update(call: Call) -> Response:
    """Cancel a device's running update; the open API has no endpoint for this (docs/adr/0013)."""
    row = await owned(call)
    task = await call.services.gateway.cancel_update(row.device.uuid)
    return JSONResponse({"over": task.status not in ACTIVE})
