"""A device's life on its page: the timeline, all its past updates, its diagnosis and its log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.responses import JSONResponse, Response, StreamingResponse

from staging.console import shapes
from staging.console.call import Call
from staging.diagnoses import log_of
from staging.store import life

PAGE, UPDATES_PAGE = 40, 10
# Moments of one look into the store while the file is sent, and how many it has at most.
FILE_PAGE, FILE_LIMIT = 200, 20_000


async def timeline(call: Call) -> Response:
    """Return a page of what happened, newest first, and the ``before`` of the page after it."""
    await call.services.audit.save()
    await call.services.gateway.save_heard()
    before = call.query_int("before")
    found, following = await call.services.database.read(
        life.page, call.row.device.id, before, PAGE
    )
    shown = [shapes.moment(moment) for moment in found]
    return JSONResponse({"moments": shown, "next": following})


async def download(call: Call) -> Response:
    """Return all that is kept of the device's life, one JSON object a line, newest first."""
    await call.services.audit.save()
    headers = {
        "Content-Disposition": f'attachment; filename="life-{call.row.device.uuid}.jsonl"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_lines(call), media_type="application/x-ndjson", headers=headers)


async def _lines(call: Call) -> AsyncIterator[str]:
    before: int | None = None
    for _ in range(FILE_LIMIT // FILE_PAGE):
        found, before = await call.services.database.read(
            life.page, call.row.device.id, before, FILE_PAGE
        )
        yield "".join(json.dumps(shapes.moment(m), ensure_ascii=False) + "\n" for m in found)
        if before is None:
            return


async def updates(call: Call) -> Response:
    """Return a page of past orders with their logs, newest first, and the ``before`` of the page after it."""
    database, device = call.services.database, call.row.device
    before = call.query_int("before")
    views = await database.read(life.updates, device.id, before, UPDATES_PAGE + 1)
    following = views[UPDATES_PAGE - 1].task.id if len(views) > UPDATES_PAGE else None
    shown = [shapes.task(view, []) for view in views[:UPDATES_PAGE]]
    return JSONResponse({"updates": shown, "next": following})


async def diagnose(call: Call) -> Response:
    """Begin to fetch the machine's diagnosis."""
    return JSONResponse(call.services.diagnoses.begin(call.row.device.uuid), 202)


async def diagnosis(call: Call) -> Response:
    """Return how far that is."""
    return JSONResponse(
        call.services.diagnoses.state(call.row.device.uuid, call.row.device.family_since)
    )


async def archive(call: Call) -> Response:
    """Return the archive."""
    uuid = call.row.device.uuid
    headers = {
        "Content-Disposition": f'attachment; filename="diag-{uuid}.tar.gz"',
        "Cache-Control": "no-store",
    }
    content = call.services.diagnoses.archive(uuid, call.row.device.family_since)
    return Response(content, headers=headers, media_type="application/gzip")


async def log(call: Call) -> Response:
    """Return the last lines of the machine's log."""
    uuid, since = call.row.device.uuid, call.row.device.family_since
    # In a thread: what a machine has packed takes time to unpack.
    lines = await asyncio.to_thread(log_of, call.services.diagnoses.archive(uuid, since))
    return JSONResponse({"lines": lines})
