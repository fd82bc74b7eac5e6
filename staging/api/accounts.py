"""Accounts (open API section 1) and the binding of devices to them (section 2)."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from staging.api import schema, views
from staging.api.audited import AuditedRoute
from staging.api.auth import (
    Served,
    Signed,
    SignedRequest,
    authenticate,
    authorize,
    check_device,
)
from staging.api.envelope import answer
from staging.api.failures import BOUND_DEVICE, DEVICE, errors
from staging.api.params import (
    BindBody,
    DeviceBody,
    ListQuery,
    NameBody,
    TokenQuery,
    UuidQuery,
)
from staging.errors import ErrorCode, RefusedError
from staging.identity.oauth import Scope
from staging.services import Services
from staging.store import access, accounts, bind_tokens, devices
from staging.store.access import Access
from staging.store.devices import DeviceView

# The document's answer to unbinding has no member for it.
RECEIPT_HEADER = "X-Story-Receipt"

router = APIRouter(route_class=AuditedRoute)


@router.get("/account/validate", response_model=schema.Done, responses=errors())
async def validate(services: Served, signed: SignedRequest) -> JSONResponse:
    """1.2: check whether the token is valid."""
    await authenticate(services, signed, None)
    return answer(data=True)


@router.get("/account/infos", response_model=schema.AccountInfo, responses=errors())
async def infos(services: Served, signed: SignedRequest) -> JSONResponse:
    """1.3: return the account that the token belongs to."""
    found = await authenticate(services, signed, Scope.ACCOUNT)
    account = await services.database.read(accounts.get, _account_id(found))
    if account is None:
        raise RefusedError(ErrorCode.ACCOUNT_NOT_FOUND)
    return answer(views.account_info(account))


@router.post(
    "/device/bind",
    response_model=schema.Done,
    responses=errors(*DEVICE, ErrorCode.DEVICE_TOKEN_INVALID, ErrorCode.TOKEN_DOES_NOT_MATCH, 406),
)
async def bind(services: Served, signed: SignedRequest, body: BindBody) -> JSONResponse:
    """2.1: bind a device to the caller's account; the device's owner can see its bind token."""
    found = await authenticate(services, signed, Scope.DEVICE, body.deviceUuid)
    check_device(found, body.deviceUuid)
    account_id = _account_id(found)
    await services.database.write(
        devices.bind, body.deviceUuid, body.token, account_id, services.clock()
    )
    return answer(data=True)


@router.put(
    "/device/name/update",
    status_code=201,
    response_model=schema.DeviceNamed,
    responses=errors(*BOUND_DEVICE),
)
async def name_update(services: Served, signed: SignedRequest, body: NameBody) -> JSONResponse:
    """2.2: give a bound device a name."""
    _, device_id = await authorize(services, signed, Scope.DEVICE, body.deviceUuid)
    await services.database.write(devices.rename, device_id, body.name, services.clock())
    view = await _view(services, body.deviceUuid)
    return answer(views.device(view), total=1, status=201)


@router.post(
    "/device/unbind",
    response_model=schema.DoneByNumber,
    responses=errors(*BOUND_DEVICE, by_number=True),
)
async def unbind(services: Served, signed: SignedRequest, body: DeviceBody) -> JSONResponse:
    """2.3: unbind a device from its account; here the document's code is a number.

    Ours: all that is stored of the family is cut off at once and deleted within a minute; the header X-Story-Receipt is
    the receipt (`GET /device/data/receipt`). The bind token is renewed where the device takes a new one.
    """
    _, device_id = await authorize(services, signed, Scope.DEVICE, body.deviceUuid)
    receipt = await unbind_device(services, body.deviceUuid, device_id)
    headers = {RECEIPT_HEADER: receipt} if receipt else None
    return JSONResponse({"data": True, "code": 0, "message": ""}, headers=headers)


async def unbind_device(services: Services, uuid: str, device_id: int) -> str | None:
    """Unbind a device and let it know; return the receipt of what is erased. The console does it too."""
    await services.gateway.save_controlled()
    receipt = await services.database.write(devices.unbind, device_id, services.clock())
    services.gateway.family.note_change(uuid)
    services.gateway.send_pending_order(uuid)  # or the cancellation of one
    return receipt


@router.get(
    "/device/bind/list",
    response_model=schema.DeviceList,
    responses=errors(ErrorCode.QUERY_PARAMS_INVALID, by_number=True),
)
async def bind_list(services: Served, signed: SignedRequest, query: ListQuery) -> JSONResponse:
    """2.4: list the account's devices, newest first; here too the document's code is a number."""
    found = await authenticate(services, signed, Scope.DEVICE)
    page, total = await services.database.read(
        devices.owned, _account_id(found), found.app_id, query.start, query.limit
    )
    return JSONResponse(
        {
            "data": [views.device_entry(view) for view in page],
            "code": 0,
            "message": "",
            "limit": query.limit,
            "start": query.start,
            "total": total,
        }
    )


@router.get(
    "/device/info/by_token",
    response_model=schema.DeviceByToken,
    responses=errors(*DEVICE, ErrorCode.DEVICE_TOKEN_INVALID, ErrorCode.TOKEN_DOES_NOT_MATCH),
)
async def info_by_token(
    services: Served, signed: SignedRequest, uuid: UuidQuery, token: TokenQuery
) -> JSONResponse:
    """2.5: return a device, bound or not, to a caller that has its bind token."""
    found = await authenticate(services, signed, Scope.DEVICE, uuid)
    check_device(found, uuid)
    view = await _view(services, uuid)
    # A record without a token matches nothing: the device must report its token first.
    mine = found.owner_id is not None and found.owner_id == found.account_id
    if not bind_tokens.same(view.device.bind_token, token) or _is_barred(view, found):
        raise RefusedError(ErrorCode.TOKEN_DOES_NOT_MATCH, uuid)
    return answer(views.device_by_token(view, mine=mine or found.owner_id is None), total=1)


@router.get(
    "/device/info/by_uuid", response_model=schema.DeviceInfo, responses=errors(*BOUND_DEVICE)
)
async def info_by_uuid(services: Served, signed: SignedRequest, uuid: UuidQuery) -> JSONResponse:
    """2.6: return a bound device."""
    return await device_info(services, signed, uuid)


async def device_info(services: Services, signed: Signed, uuid: str) -> JSONResponse:
    """Answer `info_by_uuid`, also for `staging.api.quick`."""
    lookup = access.WITH_VIEW
    found, _ = await authorize(services, signed, Scope.DEVICE, uuid, lookup=lookup)
    if found.view is None:
        raise RefusedError(ErrorCode.DEVICE_NOT_EXIST, uuid)
    return answer(views.device_info(found.view), total=1)


def _is_barred(view: DeviceView, found: Access) -> bool:
    return found.account_id in view.device.barred


def _account_id(found: Access) -> int:
    if found.account_id is None:
        raise RefusedError(ErrorCode.ACCOUNT_NOT_FOUND)
    return found.account_id


async def _view(services: Services, uuid: str) -> DeviceView:
    view = await services.database.read(devices.view, uuid)
    if view is None:
        raise RefusedError(ErrorCode.DEVICE_NOT_EXIST, uuid)
    return view
