"""Controlling devices (open API section 3) and asking for their data (section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from staging.api import views
from staging.api.auth import Served, SignedRequest, authenticate, authorize
from staging.api.envelope import OK, answer
from staging.api.params import ControlBody, DevicesBody, HistoryQuery, UuidQuery
from staging.codes import ApiError, ErrorCode, RefusedError
from staging.store import access, history
from wire.errors import MissingFieldError

router = APIRouter()


@router.get("/device/resource")
async def resource(services: Served, signed: SignedRequest, uuid: UuidQuery) -> JSONResponse:
    """3.1: the device's self-description, as it gave it."""
    found, _ = await authorize(services, signed, uuid)
    description = dict(found.description or {})
    description.setdefault("report", [])
    return answer(description, total=1)


@router.post("/device/control/send")
async def send(services: Served, signed: SignedRequest, body: ControlBody) -> JSONResponse:
    """3.4: read or set a data point and wait for the device's answer, whatever it is."""
    found, _ = await authorize(services, signed, body.deviceUuid)
    uri = find_uri(found.description or {}, body.name)
    if body.method == "PUT" and body.content is None:
        raise ApiError("400", 400, str(MissingFieldError("content", "the value to set")))
    content = (body.content or "") if body.method == "PUT" else ""
    code, text = await services.gateway.control(body.deviceUuid, body.method, uri, content)
    return answer({"code": code, "content": text, "name": body.name}, total=1)


def find_uri(description: Mapping[str, Any], name: str) -> str:
    """Return a data point's path on the device; raises RefusedError 1305."""
    for point in description.get("resources", []):
        if point.get("name") == name:
            uri = point.get("uri")
            return uri if isinstance(uri, str) and uri else f"/{name}"
    raise RefusedError(ErrorCode.COMMAND_NAME_INVALID, f"the device has no data point {name!r}")


@router.post("/device/query/data/connect")
async def connect(services: Served, signed: SignedRequest, body: DevicesBody) -> JSONResponse:
    """4.1: tell which devices are online; the app must be bound to their products."""
    found = await authenticate(services, signed)
    bound = await services.database.read(access.products_of, found.app_id, body.deviceUuids)
    for uuid in body.deviceUuids:
        if uuid not in bound:
            raise RefusedError(ErrorCode.DEVICE_NOT_EXIST, uuid)
        if not bound[uuid]:
            raise RefusedError(ErrorCode.APP_NOT_BOUND, uuid)
    data = [
        {"deviceUuid": uuid, "status": services.gateway.is_online(uuid)}
        for uuid in body.deviceUuids
    ]
    # The document's example has two devices and total 1.
    return answer(data, total=1)


@router.get("/device/query/data/history")
async def get_history(
    services: Served, signed: SignedRequest, uuid: UuidQuery, query: HistoryQuery
) -> JSONResponse:
    """4.2: what the device reported, newest first, a page at a time."""
    _, device_id = await authorize(services, signed, uuid)
    page = await services.database.read(history.page, device_id, query)
    return JSONResponse(
        {
            "data": [views.history_entry(entry) for entry in page.entries],
            "code": OK,
            "message": "",
            "nextPage": page.next_page,
            "limit": query.limit,
        }
    )
