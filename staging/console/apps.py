"""Apps in the console: what they sign with, and which products they may control."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.console.call import Call, ConsoleError, number_of, text_of, texts_of
from staging.identity.oauth import Scope
from staging.store import apps
from staging.store import product_setup as catalog
from staging.store.apps import AppType
from wire.errors import FieldError

# Two of them joined are what the store keeps of an Android app, in 255 characters.
PART_LIMIT = 120
# The parts that an app of each type signs with (2.5.2); a web app's secret key is made by the store.
SECRET_PARTS = {
    AppType.WEB: (),
    AppType.ANDROID: ("package", "apkSignature"),
    AppType.IOS: ("bundleId",),
}


async def listing(call: Call) -> Response:
    """Return every app without its secret, and what an app can be allowed."""
    return JSONResponse(await call.services.database.read(_apps))


async def add(call: Call) -> Response:
    """Make an app; the answer is the only one that holds its secret without being asked for it."""
    body = await call.body()
    kind = text_of(body, "type")
    if kind not in set(AppType):
        raise FieldError("type", kind, "one of " + ", ".join(AppType))
    name = text_of(body, "name", limit=catalog.NAME_LIMIT)
    if not name.isprintable():
        raise FieldError("name", name, "printable characters")
    app = await call.services.database.write(
        apps.add_app,
        name,
        AppType(kind),
        _secret(body, AppType(kind)),
        call.services.clock(),
        scopes=texts_of(body, "scopes"),
        redirect_uris=texts_of(body, "redirectUris"),
    )
    return JSONResponse(apps.summary(app) | {"secret": app.secret}, 201)


async def secret(call: Call) -> Response:
    """Return what an app signs with: a POST, so that no other site and no cache comes by it."""
    number = number_of(call, "app")
    app = await call.services.database.read(apps.find, number)
    if app is None:
        raise ConsoleError(404, "not_found", f"app {number}: there is none")
    return JSONResponse({"secret": app.secret}, headers={"Cache-Control": "no-store"})


async def bind(call: Call) -> Response:
    """Let an app control a product's devices."""
    product, app = number_of(call, "product"), number_of(call, "app")
    await call.services.database.write(catalog.bind_app, app, product)
    return JSONResponse({"app": app})


async def unbind(call: Call) -> Response:
    """Take a product's devices from an app."""
    product, app = number_of(call, "product"), number_of(call, "app")
    await call.services.database.write(catalog.unbind_app, app, product)
    return JSONResponse({"app": app})


def _secret(body: dict[str, Any], kind: AppType) -> str | None:
    parts = [text_of(body, name, limit=PART_LIMIT) for name in SECRET_PARTS[kind]]
    for name, part in zip(SECRET_PARTS[kind], parts, strict=True):
        if not (part.isascii() and part.isprintable()) or " " in part:
            raise FieldError(name, part, "printable ASCII without blanks")
    return "".join(parts) or None


def _apps(session: Session) -> dict[str, Any]:
    bound: dict[int, list[dict[str, Any]]] = {}
    for view in catalog.products(session):
        for app_id in view.app_ids:
            shown = {"id": view.product.id, "name": view.product.name}
            bound.setdefault(app_id, []).append(shown)
    return {
        "types": list(AppType),
        "scopes": list(Scope),
        "apps": [
            apps.summary(app) | {"products": bound.get(app.id, [])}
            for app in apps.list_apps(session)
        ],
    }
