"""Tags of one device, and the same step for many devices: preview, job and its progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse, Response

from staging.audit import Audit
from staging.bulk_jobs import DEVICES_LIMIT, Job, Told
from staging.console.call import Call, id_of, number_of, text_of, texts_of
from staging.console.watchers import Hub
from staging.errors import StagingError
from staging.store import bulk, device_list, device_query, found, tags
from staging.store.audit import Entry
from staging.store.bulk import AUDITED, Outcome, Step
from staging.store.device_query import Wanted
from staging.times import Clock
from wire.errors import FieldError

QUERY_LIMIT = 4000


async def tag(call: Call) -> Response:
    """Put tags on one device and take others away."""
    body = await call.body()
    add, remove = texts_of(body, "add"), texts_of(body, "remove")
    step = bulk.parse_step("tag", None, add, remove)
    call.done.target = step.told
    has = await call.services.database.write(tags.change, call.row.device.id, add, remove)
    call.console.hub.notify(call.row.device.uuid)
    return JSONResponse({"tags": list(has)})


async def preview(call: Call) -> Response:
    """Say how many devices take a step, and which are left out and why.

    The body names the devices by ``query``, an address of the list, or by ``uuids``.
    """
    body = await call.body()
    step, wanted = _step(body), _wanted(body)
    ids = await _named(call, body, DEVICES_LIMIT) if wanted is None else ()
    made = await call.console.jobs.preview(step, call.session.viewer, wanted, ids)
    return JSONResponse(made.to_json())


async def chosen(call: Call, body: Mapping[str, Any], limit: int) -> list[int]:
    """Return the numbers of the devices of ``query`` or ``uuids``; raises FieldError, StagingError: too many."""
    wanted = _wanted(body)
    if wanted is None:
        return await _named(call, body, limit)
    online = call.services.gateway.sessions.ids()
    asked = (wanted, call.session.viewer, online)
    every = await call.services.database.read(device_list.numbers, *asked, limit=limit + 1)
    if len(every) > limit:
        raise StagingError(
            f"more than {limit} devices match, expected at most so many: narrow the filter"
        )
    return every


async def _named(call: Call, body: Mapping[str, Any], limit: int) -> list[int]:
    uuids = [uuid.lower() for uuid in texts_of(dict(body), "uuids")]
    if not 0 < len(uuids) <= limit:
        raise FieldError("uuids", f"{len(uuids)} devices", f"1 to {limit}, or a query")
    return await call.services.database.read(found.numbers, uuids)


async def begin(call: Call) -> Response:
    """Begin to act on a preview."""
    mark = text_of(await call.body(), "preview", limit=32)
    job = await call.console.jobs.begin(mark, call.session.viewer, call.session.user_name)
    call.done.target = f"{job.step.action} {job.total} devices {job.step.told}".strip()
    return JSONResponse(job.to_json(), 202)


async def progress(call: Call) -> Response:
    """Return how far a job of the caller's is."""
    job = call.console.jobs.find(number_of(call, "job"), call.session.account_id)
    return JSONResponse(job.to_json())


def _step(body: Mapping[str, Any]) -> Step:
    package_id = None if body.get("packageId") is None else id_of(dict(body), "packageId")
    return bulk.parse_step(
        text_of(dict(body), "action", limit=32), package_id,
        texts_of(dict(body), "add"), texts_of(dict(body), "remove"),
    )  # fmt: skip


def _wanted(body: Mapping[str, Any]) -> Wanted | None:
    if "query" not in body:
        return None
    text = text_of(dict(body), "query", limit=QUERY_LIMIT, empty=True)
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(text.removeprefix("?"), keep_blank_values=True):
        given.setdefault(name, []).append(value)
    return device_query.parse(given)


def teller(audit: Audit, hub: Hub, clock: Clock) -> Told:
    """Return what tells the audit log and the open pages which devices have taken a job's step."""

    def tell(job: Job, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.done:
                audit.note(_entry(job, outcome, clock()))
                hub.notify(outcome.uuid)

    return tell


def _entry(job: Job, outcome: Outcome, now: int) -> Entry:
    return Entry(
        now, job.source, job.who, AUDITED[job.step.action], actor_id=job.viewer.account_id,
        role=job.viewer.role.value, device=outcome.uuid, target=job.step.told,
    )  # fmt: skip
