"""What is stored of a family: read, taken along and erased by its owner. Ours, not the document's: all below ``/device/data``.

``GET`` and ``DELETE /device/data`` are everything of one device; ``/device/data/voice`` is the ledger of the child's voice;
``/device/data/receipt`` tells whether what was ordered to be erased is gone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, StreamingResponse

from staging.api import family_schema, views
from staging.api.audited import AuditedRoute
from staging.api.auth import Served, SignedRequest, authenticate, authorize
from staging.api.envelope import OK, answer
from staging.api.failures import BOUND_DEVICE, ApiError, Responses, errors
from staging.api.params import (
    HISTORY_LIMIT,
    HISTORY_LIMIT_DEFAULT,
    LimitQuery,
    PageQuery,
    UuidQuery,
)
from staging.errors import ErrorCode, NotFoundError, RefusedError
from staging.identity.oauth import Scope
from staging.recognition.outcomes import PAGE_LIMIT
from staging.services import Services
from staging.store import devices, family, history, ota, voice_ledger
from staging.store.models import Erasure, Report, VoiceEntry
from staging.times import iso, iso_or_none
from wire.errors import FieldError, WireError

# Utterances that one request erases by their numbers.
IDS_LIMIT = 100
# Rows of one read of an export, which other requests wait for.
EXPORT_STEP = 500
DAY_MS = 86_400_000

router = APIRouter(route_class=AuditedRoute)


def _ids(value: str | None) -> list[int] | None:
    """Read ``3,5,8``; raises RefusedError 1401."""
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",")]
    if len(parts) > IDS_LIMIT or not all(
        p.isascii() and p.isdigit() and len(p) < 19 for p in parts
    ):
        wrong = FieldError("id", value, f"1 to {IDS_LIMIT} ids of the ledger, joined by commas")
        raise RefusedError(ErrorCode.QUERY_PARAMS_INVALID, str(wrong))
    return sorted({int(part) for part in parts})


IdsQuery = Annotated[
    str | None,
    Query(alias="id", description="ids of the ledger, joined by commas; none: all voice"),
]
ReceiptQuery = Annotated[str, Query(alias="receipt", pattern="^[0-9a-f]{32}$")]


_LINES: Responses = {
    200: {
        "description": "lines of JSON",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/device/data",
    responses=errors(*BOUND_DEVICE) | _LINES,
    response_class=StreamingResponse,
)
async def export(services: Served, signed: SignedRequest, uuid: UuidQuery) -> StreamingResponse:
    """Ours: return everything that is stored of the device's family, one JSON object a line.

    Members ``part``: ``device``, ``report``, ``voice`` (the ledger), ``sentence``, ``update``; ``end`` is the last line of
    an export that is whole.
    """
    _, device_id = await authorize(services, signed, Scope.DATA, uuid)
    await services.gateway.save_controlled()
    lines = _lines(services, uuid, device_id)
    headers = {
        "Content-Disposition": f'attachment; filename="{uuid}.jsonl"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)


async def _lines(services: Services, uuid: str, device_id: int) -> AsyncIterator[bytes]:
    count = 0
    async for kind, value in _parts(services, uuid, device_id):
        count += 1
        yield _line(kind, value)
    yield _line("end", {"lines": count})


def _line(kind: str, value: Mapping[str, Any]) -> bytes:
    return json.dumps({"part": kind, **value}, ensure_ascii=False).encode() + b"\n"


async def _parts(
    services: Services, uuid: str, device_id: int
) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
    read = services.database.read
    view = await read(devices.view, uuid)
    if view is not None:
        shown = views.device_by_token(view)
        del shown["bindToken"]  # of another scope, and no file's business
        yield "device", shown
    after = -1
    while entries := await read(history.after, device_id, after, EXPORT_STEP):
        for report in entries:
            yield "report", _report(report)
        after = entries[-1].ts
    before: int | None = None
    while True:
        page, before = await read(voice_ledger.page, device_id, before, HISTORY_LIMIT)
        for entry in page:
            yield "voice", entry_of(services, entry)
        if before is None:
            break
    async for sentence in _sentences(
        services, uuid, 0 if view is None else view.device.family_since
    ):
        yield "sentence", sentence
    task = await read(ota.latest, device_id)
    if task is not None:
        yield "update", views.update_status(uuid, task)


def _report(report: Report) -> Mapping[str, Any]:
    """Render a report; one whose value cannot be read costs itself alone."""
    try:
        return views.history_entry(report) | {"kind": report.kind}
    except WireError as error:
        value = {"timeStamp": report.ts, "value": None, "key": report.key}
        return value | {"kind": report.kind, "error": str(error)}


async def _sentences(services: Services, uuid: str, since: int) -> AsyncIterator[Mapping[str, Any]]:
    if services.recognition is None:
        return
    recent, before = services.recognition.outcomes.recent, None
    while found := await asyncio.to_thread(recent, uuid, PAGE_LIMIT, before, since):
        for outcome in found:
            yield outcome
        before = found[-1]["id"]


@router.delete("/device/data", response_model=family_schema.Erased, responses=errors(*BOUND_DEVICE))
async def erase(services: Served, signed: SignedRequest, uuid: UuidQuery) -> JSONResponse:
    """Ours: erase everything of the device's family: history, voice, sentences, name. The device stays bound."""
    found, device_id = await authorize(services, signed, Scope.DEVICE, uuid)
    await services.gateway.save_controlled()
    now = services.clock()
    made = await services.database.write(family.erase_all, device_id, _account(found), now)
    services.gateway.family.note_change(uuid)
    return await _receipt(services, made, uuid)


@router.get(
    "/device/data/voice",
    response_model=family_schema.Ledger,
    responses=errors(*BOUND_DEVICE, ErrorCode.QUERY_PARAMS_INVALID),
)
async def ledger(
    services: Served,
    signed: SignedRequest,
    uuid: UuidQuery,
    before: PageQuery = None,
    limit: LimitQuery = HISTORY_LIMIT_DEFAULT,
) -> JSONResponse:
    """Ours: return one page of the ledger of the child's voice, newest first."""
    _, device_id = await authorize(services, signed, Scope.DATA, uuid)
    page, following = await services.database.read(voice_ledger.page, device_id, before, limit)
    shown = [entry_of(services, entry) for entry in page]
    body = {"data": shown, "code": OK, "message": "", "nextPage": following, "limit": limit}
    return JSONResponse(body)


@router.delete(
    "/device/data/voice",
    response_model=family_schema.Erased,
    responses=errors(*BOUND_DEVICE, ErrorCode.QUERY_PARAMS_INVALID),
)
async def erase_voice(
    services: Served, signed: SignedRequest, uuid: UuidQuery, ids: IdsQuery = None
) -> JSONResponse:
    """Ours: erase utterances everywhere in this cloud, or all of them; the answer has the receipt."""
    numbers = _ids(ids)
    found, device_id = await authorize(services, signed, Scope.DEVICE, uuid)
    account, now, write = _account(found), services.clock(), services.database.write
    try:
        if numbers is None:
            made = await write(family.erase_voice, device_id, account, now)
        else:
            made = await write(family.erase_entries, device_id, account, numbers, now)
    except NotFoundError as error:
        raise ApiError("404", 404, str(error)) from error
    return await _receipt(services, made, uuid)


@router.get("/device/data/receipt", response_model=family_schema.Erased, responses=errors())
async def receipt(services: Served, signed: SignedRequest, number: ReceiptQuery) -> JSONResponse:
    """Ours: return what has become of an order to erase, to the account that gave it, also after unbinding."""
    found = await authenticate(services, signed, Scope.DATA)
    row = await services.database.read(family.receipt_of, number, _account(found))
    if row is None:
        raise ApiError("404", 404, "receipt: this account has no such one")
    return answer(receipt_view(*row), total=1)


async def _receipt(services: Services, made: Erasure, uuid: str) -> JSONResponse:
    """Carry the order out, and answer with its receipt; what is not done within seconds is done within a minute."""
    await services.erase_rest()
    account = made.account_id or 0
    row = await services.database.read(family.receipt_of, made.receipt, account)
    return answer(receipt_view(*(row or (made, uuid))), total=1)


def _account(found: Any) -> int:
    return int(found.account_id or 0)


def receipt_view(order: Erasure, uuid: str) -> dict[str, Any]:
    """Render an order to erase."""
    return {
        "receipt": order.receipt,
        "deviceUuid": uuid,
        "kind": order.kind,
        "status": "DONE" if order.done_time is not None else "WAITING",
        "utterances": order.utterances,
        "rows": order.row_count,
        "orderTime": iso(order.order_time),
        "doneTime": iso_or_none(order.done_time),
        "backups": BACKUPS,
    }


BACKUPS = (
    "copies that were made of this cloud's data before are not changed by it; what is restored from one has to be "
    "erased again"
)


def entry_of(services: Services, entry: VoiceEntry) -> dict[str, Any]:
    """Render an entry of the ledger."""
    days = services.voice_days
    end = entry.start + days * DAY_MS if days and entry.erase_time is None else None
    return {
        "id": entry.id,
        "utterance": entry.utterance,
        "time": iso(entry.start),
        "why": entry.why,
        "result": entry.result,
        "seconds": voice_ledger.seconds(entry),
        "bytes": entry.size,
        "complete": entry.complete,
        "places": [] if entry.erase_time is not None else ["history"],
        "deleteTime": iso_or_none(end),
        "eraseTime": iso_or_none(entry.erase_time),
        "erasedBy": entry.erased_by,
    }
