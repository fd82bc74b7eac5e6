"""Apps in the console: their secrets, and which products they may control."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.console.call import Call, ConsoleError, number_of, text_of, texts_of
from staging.identity.oauth import Scope
from staging.store import apps, product_setup
from staging.store.accounts import NAME_LIMIT
from staging.store.apps import AppType
from wire.errors import FieldError

# The store keeps two of them, joined, in 255 characters for an Android app.
PART_LIMIT = 120
# The parts that make up the secret of each type of app (open API 2.5.2); the store generates a web
# app's.
SECRET_PARTS = {
    AppType.WEB: (),
    AppType.ANDROID: ("package", "apkSignature"),
    AppType.IOS: ("bundleId",),
}


async def listing(call: Call) -> Response:
    """Return every app without its secret, and the types and scopes that an app can have."""
    return JSONResponse(await call.services.database.read(_apps))


async def add(call: Call) -> Response:
    """Add an app; no other answer but this one and that of `renew_secret` contains its secret."""
    body = await call.body()
    kind = text_of(body, "type")
    if kind not in set(AppType):
        raise FieldError("type", kind, "one of " + ", ".join(AppType))
    name = call.done.target = text_of(body, "name", limit=NAME_LIMIT)
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


async def renew_secret(call: Call) -> Response:
    """Give an app another secret, which this answer alone contains; the old one ends at once."""
    number, body = number_of(call, "app"), await call.body()
    app = await call.services.database.read(apps.find, number)
    if app is None:
        raise ConsoleError(404, "not_found", f"app {number}: there is none")
    call.done.target = app.name
    new = _secret(body, AppType(app.type))
    renewed = await call.services.database.write(apps.renew_secret, number, new)
    return JSONResponse({"secret": renewed.secret}, headers={"Cache-Control": "no-store"})


async def set_origins(call: Call) -> Response:
    """Say which web pages may call the API for an app (CORS)."""
    number, body = number_of(call, "app"), await call.body()
    added, removed = texts_of(body, "add"), texts_of(body, "remove")
    app = await call.services.database.write(apps.set_origins, number, added, removed)
    call.done.target = f"{app.name}: {' '.join(app.web_origins) or 'none'}"
    return JSONResponse({"webOrigins": app.web_origins})


async def bind(call: Call) -> Response:
    """Allow an app to control a product's devices."""
    product, app = number_of(call, "product"), number_of(call, "app")
    call.done.target = f"app {app}, product {product}"
    await call.services.database.write(product_setup.bind_app, app, product)
    return JSONResponse({"app": app})


async def unbind(call: Call) -> Response:
    """Revoke an app's control of a product's devices."""
    product, app = number_of(call, "product"), number_of(call, "app")
    call.done.target = f"app {app}, product {product}"
    await call.services.database.write(product_setup.unbind_app, app, product)
    return JSONResponse({"app": app})


def _secret(body: dict[str, Any], kind: AppType) -> str | None:
    parts = [text_of(body, name, limit=PART_LIMIT) for name in SECRET_PARTS[kind]]
    for name, part in zip(SECRET_PARTS[kind], parts, strict=True):
        if not (part.isascii() and part.isprintable()) or " " in part:
            raise FieldError(name, part, "printable ASCII without blanks")
    return "".join(parts) or None


def _apps(session: Session) -> dict[str, Any]:
    bound: dict[int, list[dict[str, Any]]] = {}
    for view in product_setup.products(session):
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
