"""Products, batches, versions and strategies in the console: the document's release flow."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.console.call import Call, ConsoleError, id_of, text_of, texts_of
from staging.releases import tool
from staging.store import apps, ota, product_setup, releases
from staging.store.models import UNVERIFIED, Batch, Device, OtaTask, Package, Product, Strategy
from staging.store.releases import StrategyType
from wire.errors import FieldError

# Larger than any of our images; the free disk space limits uploads as well.
UPLOAD_LIMIT = 2 * 2**30
# Bytes of the disk that uploads must leave free.
DISK_RESERVE = 256 * 2**20
DEVICES_SHOWN = 200
_READ_BLOCK = 1 << 20


async def products(call: Call) -> Response:
    """Return every product with its batches."""
    return JSONResponse(await call.services.database.read(_products))


async def add_product(call: Call) -> Response:
    """Add a product with its test devices."""
    body = await call.body()
    name, template = text_of(body, "name"), body.get("template") or None
    if template is not None and template not in product_setup.TEMPLATES:
        raise FieldError("template", template, f"one of {', '.join(product_setup.TEMPLATES)}")
    count = id_of(body, "testDevices") if "testDevices" in body else product_setup.TEST_DEVICES
    made = await call.services.database.write(
        product_setup.add_product,
        name,
        call.services.clock(),
        test_devices=count,
        template=template,
    )
    return JSONResponse({"id": made.id}, 201)


async def add_batch(call: Call) -> Response:
    """Add a batch of devices."""
    body = await call.body()
    product_id, name, count = (
        int(call.param("product")),
        text_of(body, "name"),
        id_of(body, "count"),
    )
    batch, _ = await call.services.database.write(
        product_setup.add_batch, product_id, name, count, call.services.clock()
    )
    return JSONResponse({"id": batch.id}, 201)


async def batch_devices(call: Call) -> Response:
    """Return the devices of a batch with their bind tokens."""
    found = await call.services.database.read(_devices_of, int(call.param("batch")))
    return JSONResponse({"devices": found, "limit": DEVICES_SHOWN})


async def versions(call: Call) -> Response:
    """Return every version with its verifications."""
    return JSONResponse(await call.services.database.read(_versions))


async def upload(call: Call) -> Response:
    """Receive a package as the body, sign it, and add it as an unverified version."""
    product_id = call.query_int("productId")
    version, description = call.query("version"), call.query("description")[:2000]
    database, now = call.services.database, call.services.clock()
    name = await database.read(_product_name, product_id)
    await database.read(releases.check_new_version, version, now, product_id=product_id)
    folder = Path(
        await asyncio.to_thread(tempfile.mkdtemp, prefix=".upload.", dir=call.console.data.root)
    )
    try:
        # The repository names a package after its file.
        file = folder / f"package-{product_id}-{version}.tar.gz"
        await _receive(call, file)
        target = await asyncio.to_thread(_sign, call, file, name, version)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    package = await database.write(
        releases.add_package,
        version,
        target,
        description,
        now,
        product_id=product_id,
        status=UNVERIFIED,
    )
    return JSONResponse({"id": package.id}, 201)


def _sign(call: Call, file: Path, product: str, version: str) -> releases.Target:
    tool.ensure_repository(call.console.data)
    return tool.add(call.console.data, file, product, version)


async def _receive(call: Call, file: Path) -> None:
    """Write the body to ``file`` in blocks; raises ConsoleError if it is too large."""
    free = (await asyncio.to_thread(shutil.disk_usage, file.parent)).free - DISK_RESERVE
    limit = min(UPLOAD_LIMIT, free)
    size, held = 0, bytearray()
    with file.open("wb") as out:
        async for chunk in call.request.stream():
            size += len(chunk)
            if size > limit:
                raise ConsoleError(413, "413", f"package: expected at most {limit} bytes")
            held += chunk
            if len(held) >= _READ_BLOCK:
                await asyncio.to_thread(out.write, bytes(held))
                held.clear()
        await asyncio.to_thread(out.write, bytes(held))
    if size == 0:
        raise FieldError("package", "", "a file that is not empty")


async def verify(call: Call) -> Response:
    """Order an update to an unverified version for one device ("立马验证")."""
    uuid = text_of(await call.body(), "uuid").lower()
    package_id, now = int(call.param("package")), call.services.clock()
    task = await call.services.database.write(ota.order_verification, uuid, package_id, now)
    call.services.gateway.send_pending_order(uuid)
    call.console.hub.notify(uuid)
    return JSONResponse({"task": task.id}, 201)


async def passed(call: Call) -> Response:
    """Release a verified version, so that it can be offered ("通过验证")."""
    package_id, now = int(call.param("package")), call.services.clock()
    package = await call.services.database.write(releases.release, package_id, now)
    return JSONResponse({"status": package.status})


async def strategies(call: Call) -> Response:
    """Return every strategy."""
    return JSONResponse(await call.services.database.read(_strategies))


async def add_strategy(call: Call) -> Response:
    """Add a strategy: which devices a version is offered to."""
    body = await call.body()
    kind = text_of(body, "type")
    if kind not in set(StrategyType):
        raise FieldError("type", kind, "PASSIVE or SILENT")
    strategy = await call.services.database.write(
        releases.add_strategy,
        text_of(body, "version"),
        StrategyType(kind),
        texts_of(body, "from"),
        texts_of(body, "batches"),
        call.services.clock(),
        product_id=id_of(body, "productId"),
    )
    return JSONResponse({"id": strategy.id}, 201)


async def publish(call: Call) -> Response:
    """Publish a strategy; it takes effect."""
    strategy_id = int(call.param("strategy"))
    strategy = await call.services.database.write(releases.publish_strategy, strategy_id)
    return JSONResponse({"status": strategy.status})


async def withdraw(call: Call) -> Response:
    """Withdraw a strategy; it ends."""
    strategy_id = int(call.param("strategy"))
    strategy = await call.services.database.write(releases.withdraw_strategy, strategy_id)
    return JSONResponse({"status": strategy.status})


def _products(session: Session) -> dict[str, Any]:
    names = {app.id: app.name for app in apps.list_apps(session)}
    return {
        "templates": list(product_setup.TEMPLATES),
        "products": [
            {
                "id": view.product.id,
                "name": view.product.name,
                "devices": view.devices,
                "createTime": view.product.create_time,
                "apps": [names.get(app_id, str(app_id)) for app_id in view.app_ids],
                "points": [
                    {"name": point["name"], "label": point.get("label", "")}
                    for point in product_setup.data_points(session, view.product.id)
                ],
                "batches": [
                    {"id": b.batch.id, "name": b.batch.name, "devices": b.devices}
                    for b in product_setup.batches(session, view.product.id)
                ],
            }
            for view in product_setup.products(session)
        ],
    }


def _product_name(session: Session, product_id: int | None) -> str:
    found = session.get(Product, product_id) if product_id else None
    if found is None:
        raise FieldError("productId", product_id, "the id of a product")
    return found.name


def _devices_of(session: Session, batch_id: int) -> list[dict[str, Any]]:
    if session.get(Batch, batch_id) is None:
        raise ConsoleError(404, "not_found", f"batch {batch_id}: there is none")
    statement = select(Device).where(Device.batch_id == batch_id).order_by(Device.id)
    return [
        {"uuid": device.uuid, "bindToken": device.bind_token, "name": device.name}
        for device in session.scalars(statement.limit(DEVICES_SHOWN))
    ]


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


def _strategies(session: Session) -> dict[str, Any]:
    packages = {package.id: package for package, _ in releases.packages(session)}
    names = {view.product.id: view.product.name for view in product_setup.products(session)}
    return {
        "strategies": [
            _strategy(strategy, version, names[packages[strategy.package_id].product_id])
            for strategy, version in reversed(releases.strategies(session))
        ]
    }


def _strategy(strategy: Strategy, version: str, product: str) -> dict[str, Any]:
    return {
        "id": strategy.id,
        "product": product,
        "version": version,
        "type": strategy.type,
        "status": strategy.status,
        "from": strategy.from_versions,
        "batches": strategy.batches,
        "createTime": strategy.create_time,
    }
