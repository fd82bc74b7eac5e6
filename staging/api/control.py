"""Endpoints to control devices (open API section 3) and to query their data (section 4)."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from staging.api import schema, views
from staging.api.audited import AuditedRoute
from staging.api.auth import Served, Signed, SignedRequest, authenticate, authorize
from staging.api.envelope import OK, answer
from staging.api.failures import BOUND_DEVICE, DEVICE, errors
from staging.api.params import ControlBody, DevicesBody, HistoryQuery, RealtimeKey, UuidQuery
from staging.errors import ErrorCode, RefusedError
from staging.identity.oauth import Scope
from staging.services import Services
from staging.store import access, devices, history
from wire.codes import Code

router = APIRouter(route_class=AuditedRoute)


@router.get("/device/resource", response_model=schema.Resource, responses=errors(*BOUND_DEVICE))
async def resource(services: Served, signed: SignedRequest, uuid: UuidQuery) -> JSONResponse:
    """3.1: return the device's self-description as the device sent it."""
    await authorize(services, signed, Scope.CONTROL, uuid)
    description = dict(await services.database.read(devices.description, uuid))
    description.setdefault("report", [])
    return answer(description, total=1)


@router.post(
    "/device/control/send",
    response_model=schema.Control,
    responses=errors(
        *BOUND_DEVICE, ErrorCode.COMMAND_NAME_INVALID, ErrorCode.METHOD_INVALID, 502, 504
    ),
)
async def send(services: Served, signed: SignedRequest, body: ControlBody) -> JSONResponse:
    """3.4: read or set a data point and return the device's answer, also a refusal.

    ``content`` is a read value, the reason of a refusal or, where a device takes a value and says no more, that value.
    """
    return await control(services, signed, body)


async def control(services: Services, signed: Signed, body: ControlBody) -> JSONResponse:
    """Answer `send`, also for `staging.api.quick`."""
    await authorize(services, signed, Scope.CONTROL, body.deviceUuid, changes=body.method == "PUT")
    signed.trail.target, signed.trail.reads = f"{body.method} {body.name}", body.method == "GET"
    code, text = await services.gateway.control(
        body.deviceUuid, body.name, body.method, body.content
    )
    if code == Code.CHANGED.dotted and not text:
        text = body.content or ""
    return answer({"code": code, "content": text, "name": body.name}, total=1)


@router.post(
    "/device/query/data/connect",
    response_model=schema.Connect,
    responses=errors(
        *DEVICE,
        ErrorCode.DEVICE_ID_EMPTY,
        ErrorCode.ACCOUNT_HAS_NO_POWER,
        ErrorCode.TOO_MANY_DEVICES,
    ),
)
async def connect(services: Served, signed: SignedRequest, body: DevicesBody) -> JSONResponse:
    """4.1: return which devices are online; each must be the caller's own, or unbound."""
    found = await authenticate(services, signed, Scope.DATA, changes=False)
    standings = await services.database.read(access.standings, found.app_id, body.deviceUuids)
    for uuid in body.deviceUuids:
        standing = standings.get(uuid)
        if standing is None:
            raise RefusedError(ErrorCode.DEVICE_NOT_EXIST, uuid)
        if not standing.app_bound:
            raise RefusedError(ErrorCode.APP_NOT_BOUND, uuid)
        if standing.owner_id not in {None, found.account_id}:
            raise RefusedError(ErrorCode.ACCOUNT_HAS_NO_POWER, uuid)
    data = [
        {"deviceUuid": uuid, "status": services.gateway.is_online(uuid)}
        for uuid in body.deviceUuids
    ]
    # The document's example has two devices and total 1.
    return answer(data, total=1)


@router.get(
    "/device/query/data/history",
    response_model=schema.History,
    responses=errors(*BOUND_DEVICE, ErrorCode.QUERY_PARAMS_INVALID),
)
async def get_history(
    services: Served, signed: SignedRequest, uuid: UuidQuery, query: HistoryQuery
) -> JSONResponse:
    """4.2: return one page of the device's reports and control values, newest first."""
    _, device_id = await authorize(services, signed, Scope.DATA, uuid)
    await services.gateway.save_controlled()
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


@router.get(
    "/device/query/data/realtime",
    response_model=schema.Realtime,
    responses=errors(*BOUND_DEVICE, ErrorCode.QUERY_PARAMS_INVALID),
)
async def get_realtime(
    services: Served, signed: SignedRequest, uuid: UuidQuery, key: RealtimeKey
) -> JSONResponse:
    """4.3: return a data point's latest value, reported or controlled; null if there is none."""
    _, device_id = await authorize(services, signed, Scope.DATA, uuid)
    await services.gateway.save_controlled()
    page = await services.database.read(history.page, device_id, history.Query(key=key, limit=1))
    return answer(views.realtime(page.entries[0]) if page.entries else None, total=1)
