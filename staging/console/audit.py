"""The audit log on the console, for operators: a page of it, and all of it as CSV."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.responses import JSONResponse, Response, StreamingResponse

from staging.audit import HEAD, to_csv, to_json
from staging.console.call import Call
from staging.store import audit
from staging.store.audit import Filter

PAGE = 50
# Entries of one look into the store while a CSV is sent.
CSV_PAGE = 1000


async def listing(call: Call) -> Response:
    """Return a page of entries, newest first, and the ``before`` of the page after it."""
    await call.services.audit.save()
    # One more than is shown, to find out whether there is another page.
    found = await call.services.database.read(audit.page, _filter(call), PAGE + 1)
    shown = [to_json(entry) for entry in found[:PAGE]]
    following = shown[-1]["id"] if len(found) > PAGE else None
    return JSONResponse({"entries": shown, "next": following})


async def as_csv(call: Call) -> Response:
    """Return every entry that matches as CSV, newest first."""
    wanted = _filter(call)  # before the answer begins, which could not say what is wrong with it
    await call.services.audit.save()
    headers = {
        "Content-Disposition": 'attachment; filename="audit.csv"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(
        _pieces(call, wanted), media_type="text/csv; charset=utf-8", headers=headers
    )


async def _pieces(call: Call, wanted: Filter) -> AsyncIterator[str]:
    yield HEAD
    while True:
        found = await call.services.database.read(audit.page, wanted, CSV_PAGE)
        yield to_csv(found)
        if len(found) < CSV_PAGE:
            return
        wanted = Filter(wanted.device, wanted.actor, wanted.subject_id, found[-1].id)


def _filter(call: Call) -> Filter:
    return Filter(
        device=call.query("device").strip().lower()[:14],
        actor=call.query("actor").strip()[:255],
        before=call.query_int("before"),
    )
