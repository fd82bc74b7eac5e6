"""Endpoints to update devices (open API section 5)."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from staging.api import schema, views
from staging.api.audited import AuditedRoute
from staging.api.auth import Served, SignedRequest, authenticate, authorize
from staging.api.envelope import answer
from staging.api.failures import BOUND_DEVICE, errors
from staging.api.params import PackageQuery, UpdateBody, UuidQuery
from staging.errors import ErrorCode, RefusedError
from staging.identity.oauth import Scope
from staging.store import apps, ota, releases

router = APIRouter(prefix="/device/ota", route_class=AuditedRoute)


@router.get("/new_version", response_model=schema.NewVersion, responses=errors(*BOUND_DEVICE))
async def new_version(services: Served, signed: SignedRequest, uuid: UuidQuery) -> JSONResponse:
    """5.1: return the update that is offered to the device; null if there is none."""
    _, device_id = await authorize(services, signed, Scope.OTA, uuid)
    offer = await services.database.read(ota.new_version, device_id)
    return answer(None if offer is None else views.new_version(uuid, offer), total=1)


@router.get(
    "/version/info",
    response_model=schema.VersionInfo,
    responses=errors(ErrorCode.PACKAGE_ID_INVALID, ErrorCode.APP_NOT_BOUND),
)
async def version_info(
    services: Served, signed: SignedRequest, package_id: PackageQuery
) -> JSONResponse:
    """5.2: return a version's package; the app must be bound to its product."""
    found = await authenticate(services, signed, Scope.OTA)
    row = await services.database.read(releases.package, package_id)
    if row is None:
        raise RefusedError(ErrorCode.PACKAGE_ID_INVALID, str(package_id))
    package, version = row
    if not await services.database.read(apps.is_bound, found.app_id, package.product_id):
        raise RefusedError(ErrorCode.APP_NOT_BOUND, f"project {package.product_id}")
    return answer(views.version_info(package, version), total=1)


@router.post(
    "/update",
    status_code=201,
    response_model=schema.Ordered,
    responses=errors(
        *BOUND_DEVICE,
        ErrorCode.PROJECT_ID_ERROR,
        ErrorCode.PACKAGE_ID_INVALID,
        ErrorCode.STRATEGY_INVALID,
        ErrorCode.STRATEGY_NOT_FOR_USER,
        ErrorCode.OTA_PARAMS_ERROR,
        ErrorCode.OTA_RUNNING,
        ErrorCode.OTA_VERSION_NOT_NEWER,
    ),
)
async def update(services: Served, signed: SignedRequest, body: UpdateBody) -> JSONResponse:
    """5.3: order an update; the device gets the order now, or when it is there and answers."""
    uuid = body.deviceUuid
    _, device_id = await authorize(services, signed, Scope.OTA, uuid)
    signed.trail.target = f"package {body.packageId}"
    await services.database.write(
        ota.create, device_id, body.packageId, body.strategyId, services.clock()
    )
    services.gateway.send_pending_order(uuid)
    return answer(data=True, total=1, status=201)


@router.get(
    "/update/status",
    response_model=schema.UpdateStatus,
    responses=errors(*BOUND_DEVICE, ErrorCode.OTA_TASK_ERROR),
)
async def status(services: Served, signed: SignedRequest, uuid: UuidQuery) -> JSONResponse:
    """5.4: return the status of the device's latest update."""
    _, device_id = await authorize(services, signed, Scope.OTA, uuid)
    view = await services.database.read(ota.latest, device_id)
    if view is None:
        raise RefusedError(ErrorCode.OTA_TASK_ERROR, f"device {uuid} was never ordered an update")
    return answer(views.update_status(uuid, view), total=1)
