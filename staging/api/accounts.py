"""Accounts (open API section 1) and the binding of devices to them (section 2)."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from staging.api import views
from staging.api.auth import Served, SignedRequest, authenticate, authorize, check_device
from staging.api.envelope import answer
from staging.api.params import BindBody, DeviceBody, UuidQuery
from staging.codes import ErrorCode, RefusedError
from staging.store import devices

router = APIRouter()


@router.get("/account/validate")
async def validate(services: Served, signed: SignedRequest) -> JSONResponse:
    """1.2: tell whether the token is good."""
    await authenticate(services, signed)
    return answer(data=True)


@router.post("/device/bind")
async def bind(services: Served, signed: SignedRequest, body: BindBody) -> JSONResponse:
    """2.1: bind a device to the caller's account, by the bind token that its owner can see."""
    found = await authenticate(services, signed, body.deviceUuid)
    check_device(found, body.deviceUuid)
    if found.account_id is None:
        raise RefusedError(ErrorCode.ACCOUNT_NOT_FOUND)
    await services.database.write(
        devices.bind, body.deviceUuid, body.token, found.account_id, services.clock()
    )
    return answer(data=True)


@router.post("/device/unbind")
async def unbind(services: Served, signed: SignedRequest, body: DeviceBody) -> JSONResponse:
    """2.3: take the device from the account; here the document's code is a number."""
    _, device_id = await authorize(services, signed, body.deviceUuid)
    await services.database.write(devices.unbind, device_id, services.clock())
    return JSONResponse({"data": True, "code": 0, "message": ""})


@router.get("/device/info/by_uuid")
async def info_by_uuid(services: Served, signed: SignedRequest, uuid: UuidQuery) -> JSONResponse:
    """2.6: tell what is known of a bound device."""
    await authorize(services, signed, uuid)
    view = await services.database.read(devices.view, uuid)
    if view is None:
        raise RefusedError(ErrorCode.DEVICE_NOT_EXIST, uuid)
    return answer(views.device_info(view), total=1)
