"""Versions: their list, their upload, and their verification on a device."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.console.call import Call, number_of, text_of
from staging.releases import uploads
from staging.releases.uploads import NewRelease
from staging.store import ota, product_setup, releases
from staging.store.models import UNVERIFIED, OtaTask, Package
from wire.errors import FieldError

DESCRIPTION_LIMIT = 2000


async def listing(call: Call) -> Response:
    """Return every version with its verifications."""
    return JSONResponse(await call.services.database.read(_versions))


async def upload(call: Call) -> Response:
    """Receive a package as the body, sign it, and add it as an unverified version."""
    product_id = call.query_int("productId")
    product = await call.services.database.read(product_setup.find, product_id or 0)
    if product is None:
        raise FieldError("productId", product_id, "the id of a product")
    call.done.target = f"{product.name} {call.query('version')}"
    description = call.query("description")[:DESCRIPTION_LIMIT]
    package = await uploads.receive(
        call.services.database,
        call.console.data,
        NewRelease(product, call.query("version"), description, UNVERIFIED),
        call.request.stream(),
        call.services.clock(),
    )
    return JSONResponse({"id": package.id}, 201)


async def verify(call: Call) -> Response:
    """Order an update to an unverified version for one device ("立马验证")."""
    uuid = text_of(await call.body(), "uuid").lower()
    package_id, now = number_of(call, "package"), call.services.clock()
    call.done.device, call.done.target = uuid, f"package {package_id}"
    task = await call.services.database.write(
        ota.order_verification, uuid, package_id, now, call.session.account_id
    )
    call.services.gateway.send_pending_order(uuid)
    call.console.hub.notify(uuid)
    return JSONResponse({"task": task.id}, 201)


async def passed(call: Call) -> Response:
    """Release a verified version, so that it can be offered ("通过验证")."""
    package_id, now = number_of(call, "package"), call.services.clock()
    call.done.target = f"package {package_id}"
    package = await call.services.database.write(releases.release, package_id, now)
    return JSONResponse({"status": package.status})


def _versions(session: Session) -> dict[str, Any]:
    names = {view.product.id: view.product.name for view in product_setup.products(session)}
    return {
        "products": [{"id": number, "name": name} for number, name in names.items()],
        "versions": [
            _version(session, package, version, names[package.product_id])
            for package, version in reversed(releases.packages(session))
        ],
    }


def _version(session: Session, package: Package, version: str, product: str) -> dict[str, Any]:
    return {
        "id": package.id,
        "productId": package.product_id,
        "product": product,
        "version": version,
        "status": package.status,
        "size": package.size,
        "sha256": package.sha256,
        "description": package.description,
        "createTime": package.create_time,
        "verifications": [
            _verification(task, uuid) for task, uuid in ota.verifications(session, package.id)
        ],
    }


def _verification(task: OtaTask, uuid: str) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "status": task.status,
        "percent": task.percent,
        "failure": task.failure,
        "updateTime": task.update_time,
    }
