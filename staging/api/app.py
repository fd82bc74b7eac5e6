"""The HTTP application: the open API under ``/v1``, the update repository under ``/tuf``."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from staging.api import accounts, audit, authorize, clients, control, family, openapi, ota
from staging.api.bodies import AnyForm
from staging.api.cors import Cors
from staging.api.envelope import PREFIX, Boundary, install_handlers, refuse_field
from staging.api.quick import Quick
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


def create_app(services: Services, repository: Path) -> Boundary:
    """Create the application; the TUF repository's folder, ``repository``, may not exist yet."""
    # FastAPI's own documentation pages would load scripts from other hosts.
    app = FastAPI(
        title="story-cloud open API",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.services = services
    install_handlers(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    _add_description(app)
    # Only these two folders are for devices; nothing else in the repository is served.
    for folder in ("metadata", "targets"):
        files = StaticFiles(directory=repository / folder, check_dir=False)
        files.config_checked = True  # a folder that does not exist yet gives 404, not 500
        app.mount(f"/tuf/{folder}", files, name=folder)
    forms = AnyForm(app, f"{PREFIX}/", _OWN_FORMS, refuse_field)
    return Boundary(Cors(Quick(forms, services), services))


def _add_description(app: FastAPI) -> None:
    async def as_json() -> JSONResponse:
        return JSONResponse(openapi.describe(app, ROUTERS))

    async def as_page() -> HTMLResponse:
        return HTMLResponse(openapi.page(openapi.describe(app, ROUTERS)), headers=_PAGE_HEADERS)

    async def as_javascript() -> Response:
        text = clients.javascript(openapi.describe(app, ROUTERS), PREFIX)
        return Response(text, media_type="text/javascript")

    async def as_python() -> Response:
        text = clients.python(openapi.describe(app, ROUTERS), PREFIX)
        return Response(text, media_type="text/x-python")

    app.add_api_route("/client.js", as_javascript, include_in_schema=False)
    app.add_api_route("/client.py", as_python, include_in_schema=False)
    app.add_api_route("/openapi.json", as_json, include_in_schema=False)
    app.add_api_route("/docs", as_page, include_in_schema=False)


_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
