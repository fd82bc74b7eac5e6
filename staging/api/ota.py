"""Updating devices (open API section 5)."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from staging.api import views
from staging.api.auth import Served, SignedRequest, authorize
from staging.api.envelope import answer
from staging.api.params import UpdateBody, UuidQuery
from staging.codes import ErrorCode, RefusedError
from staging.store import ota

router = APIRouter(prefix="/device/ota")


@router.get("/new_version")
async def new_version(services: Served, signed: SignedRequest, uuid: UuidQuery) -> JSONResponse:
    """5.1: what the device can be updated to; null: nothing."""
    _, device_id = await authorize(services, signed, uuid)
    offer = await services.database.read(ota.new_version, device_id)
    return answer(None if offer is None else views.new_version(uuid, offer), total=1)


@router.post("/update")
async def update(services: Served, signed: SignedRequest, body: UpdateBody) -> JSONResponse:
    """5.3: order the update; the device gets it now, or when it next registers."""
    uuid = body.deviceUuid
    _, device_id = await authorize(services, signed, uuid)
    await services.database.write(
        ota.create, device_id, body.packageId, body.strategyId, services.clock()
    )
    services.gateway.send_pending_order(uuid)
    return answer(data=True, total=1, status=201)


@router.get("/update/status")
async def status(services: Served, signed: SignedRequest, uuid: UuidQuery) -> JSONResponse:
    """5.4: how the device's latest update stands."""
    _, device_id = await authorize(services, signed, uuid)
    view = await services.database.read(ota.latest, device_id)
    if view is None:
        raise RefusedError(ErrorCode.OTA_TASK_ERROR, f"device {uuid} was never ordered an update")
    return answer(views.update_status(uuid, view), total=1)
