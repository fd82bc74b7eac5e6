"""The wire log on a device's page: its frames as they come, the switch that keeps them, and the file to replay."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.responses import JSONResponse, Response, StreamingResponse

from staging.console.call import Call
from staging.wirelog import export
from staging.wirelog.log import ON_SECONDS_MAX
from staging.wirelog.secrets import secrets_of
from staging.wirelog.works import WireWorks
from wire.errors import FieldError

# How long a page's request waits for the next frame, in seconds.
WAIT_SECONDS = 15.0


async def frames(call: Call) -> Response:
    """Return the frames behind the number ``after``; with ``wait=1`` as soon as there is one."""
    uuid, after = call.row.device.uuid, call.query_int("after") or 0
    works = WireWorks(call.services.wire, call.services.database)
    found = await works.look(uuid, after)
    if not found["entries"] and call.query("wait") == "1":
        await call.services.wire.wait(uuid, after, WAIT_SECONDS)
        found = await works.look(uuid, after)
    # What was said before the present family came is not theirs to see.
    since = call.row.device.family_since
    shown = [entry for entry in found["entries"] if entry["ts"] > since]
    last = found["entries"][-1]["number"] if found["entries"] else after
    return JSONResponse(found | {"entries": shown, "last": last})


async def keep(call: Call) -> Response:
    """Keep the device's frames for ``seconds`` also while nobody looks; 0: no longer."""
    uuid, seconds = call.row.device.uuid, (await call.body()).get("seconds")
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int)
        or not 0 <= seconds <= ON_SECONDS_MAX
    ):
        raise FieldError("seconds", seconds, f"a whole number from 0 to {ON_SECONDS_MAX}")
    if seconds:
        secrets = await call.services.database.read(secrets_of, uuid)
        call.services.wire.watch(uuid, secrets, float(seconds))
    else:
        call.services.wire.unwatch(uuid)
    call.done.target = f"seconds={seconds}"
    return JSONResponse({"left": call.services.wire.left(uuid)})


async def download(call: Call) -> Response:
    """Return what is kept as a file that can be replayed."""
    uuid = call.row.device.uuid
    since = call.row.device.family_since
    entries = [entry for entry in call.services.wire.entries(uuid) if entry.ts > since]
    first = export.head(uuid, call.services.clock())

    def pieces() -> Iterator[str]:
        yield first
        yield from export.lines(entry.to_json() for entry in entries)

    headers = {
        "Content-Disposition": f'attachment; filename="wire-{uuid}.jsonl"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(pieces(), media_type="application/x-ndjson", headers=headers)
