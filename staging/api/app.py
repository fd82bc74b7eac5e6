"""The HTTP application: the open API under ``/v1``, the update repository under ``/tuf``."""

from __future__ import annotations

import logging
from asyncio import to_thread
from functools import cache
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.applications import Starlette
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from staging.api import accounts, audit, authorize, clients, control, family, openapi, ota
from staging.api.bodies import AnyForm
from staging.api.cors import Cors
from staging.api.envelope import PREFIX, Boundary, install_handlers, refuse_field
from staging.api.quick import Quick
from staging.releases.stock import Stock
from staging.services import Services

ROUTERS = (
    control.router,
    accounts.router,
    ota.router,
    family.router,
    audit.router,
    authorize.router,
)
"""The routers of all endpoints below ``/v1``."""

# The log-in page reads its form itself.
_OWN_FORMS = frozenset({f"{PREFIX}/account/authorize"})
_REPOSITORY, _TARGETS = "/tuf/", "/tuf/targets/"
# Devices try again for a while, and an operator may have put it back by then.
_DAMAGED = PlainTextResponse(
    "this package is damaged, and not served\n", 503, headers={"Retry-After": "600"}
)

_log = logging.getLogger(__name__)


def create_app(services: Services, repository: Path) -> Boundary:
    """Create the application; the TUF repository's folder, ``repository``, may not exist yet."""
    forms = AnyForm(_Serving(services, repository), f"{PREFIX}/", _OWN_FORMS, refuse_field)
    return Boundary(Cors(Quick(forms, services), services))


class _Serving:
    """Serves the update repository, and hands each other request its services and the endpoints."""

    def __init__(self, services: Services, repository: Path) -> None:
        self._services = services
        self._endpoints = _endpoints()
        self._files = _files(repository)
        self._stock = Stock(repository / "targets")
        self._told: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_REPOSITORY):
            if await self._is_damaged(scope["path"]):
                await _DAMAGED(scope, receive, send)
                return
            await self._files(scope, receive, send)
            return
        state = {**scope.get("state", {}), "services": self._services}
        scope = {**scope, "state": state}
        # FastAPI's routes have no HEAD; uvicorn, which keeps its own scope, leaves the body out.
        if scope.get("method") == "HEAD":
            scope["method"] = "GET"
        await self._endpoints(scope, receive, send)

    async def _is_damaged(self, path: str) -> bool:
        """Return whether a package is not the signed one; devices would fetch it in vain."""
        name = path.removeprefix(_TARGETS)
        if name == path or ".." in name:
            return False
        known = self._stock.is_known(name)
        fault = self._stock.fault(name) if known else await to_thread(self._stock.fault, name)
        if fault is not None and fault != self._stock.MISSING and name not in self._told:
            self._told.add(name)
            _log.error("%s %s: it is not served", name, fault)
        return fault is not None and fault != self._stock.MISSING


def _files(repository: Path) -> Starlette:
    """Serve the two folders that are for devices; nothing else in the repository is."""
    app = Starlette()
    install_handlers(app)
    for folder in ("metadata", "targets"):
        files = StaticFiles(directory=repository / folder, check_dir=False)
        files.config_checked = True  # a folder that does not exist yet gives 404, not 500
        app.mount(f"{_REPOSITORY}{folder}", files, name=folder)
    return app


@cache
def _endpoints() -> FastAPI:
    """Return the endpoints, which are the same for all services: FastAPI takes a tenth of a second to prepare them."""
    # FastAPI's own documentation pages would load scripts from other hosts.
    app = FastAPI(
        title="story-cloud open API",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    install_handlers(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    _add_description(app)
    return app


def _add_description(app: FastAPI) -> None:
    """Serve the description, as everybody may read it: each text is made once, when it is first asked for."""

    @cache
    def described() -> bytes:
        return bytes(JSONResponse(openapi.describe(app, ROUTERS)).body)

    @cache
    def page() -> str:
        return openapi.page(openapi.describe(app, ROUTERS))

    @cache
    def javascript() -> str:
        return clients.javascript(openapi.describe(app, ROUTERS), PREFIX)

    @cache
    def python() -> str:
        return clients.python(openapi.describe(app, ROUTERS), PREFIX)

    async def as_json() -> Response:
        return Response(described(), media_type="application/json")

    async def as_page() -> HTMLResponse:
        return HTMLResponse(page(), headers=_PAGE_HEADERS)

    async def as_javascript() -> Response:
        return Response(javascript(), media_type="text/javascript")

    async def as_python() -> Response:
        return Response(python(), media_type="text/x-python")

    app.add_api_route("/client.js", as_javascript, include_in_schema=False)
    app.add_api_route("/client.py", as_python, include_in_schema=False)
    app.add_api_route("/openapi.json", as_json, include_in_schema=False)
    app.add_api_route("/docs", as_page, include_in_schema=False)


_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
