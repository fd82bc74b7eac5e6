"""The console's routes and headers, and the dispatch between the console and the open API."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from staging.console import (
    apps,
    controls,
    device,
    devices,
    heard,
    history,
    live,
    login,
    product,
    products,
    profile,
    speech,
    strategies,
    update,
    versions,
)
from staging.console.assets import INDEX, Assets
from staging.console.call import Console, endpoint, open_endpoint
from staging.console.sessions import Sessions
from staging.console.watchers import Hub
from staging.data_dir import DataDir
from staging.services import Services
from staging.throttle import Throttle

PATH = login.PATH
# Nothing is loaded from other sites, there are no inline scripts, and strings cannot become markup.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_DEVICE = "/api/devices/{uuid}"
_PRODUCT = "/api/products/{product:int}"
_POINTS = f"{_PRODUCT}/points"


def create_console(services: Services, data: DataDir) -> Starlette:
    """Make the console of a cloud, and connect its hub to the gateway."""
    hub = Hub()
    services.gateway.watch(hub.notify)
    app = Starlette(routes=_routes())
    app.state.console = Console(
        services, data, Sessions(time.monotonic), Throttle(time.monotonic), hub, Assets()
    )
    return app


def _routes() -> list[Route]:
    return [
        Route("/api/session", open_endpoint(login.show)),
        Route("/api/session", open_endpoint(login.log_in), methods=["POST"]),
        Route("/api/session", endpoint(login.log_out), methods=["DELETE"]),
        Route("/api/devices", endpoint(devices.listing)),
        Route("/api/live", endpoint(live.all_devices)),
        Route(_DEVICE, endpoint(device.one)),
        Route(f"{_DEVICE}/live", endpoint(live.one_device)),
        Route(f"{_DEVICE}/bind", endpoint(device.bind), methods=["POST"]),
        Route(f"{_DEVICE}/unbind", endpoint(device.unbind), methods=["POST"]),
        Route(f"{_DEVICE}/name", endpoint(device.rename), methods=["PUT"]),
        Route(f"{_DEVICE}/control", endpoint(controls.control), methods=["POST"]),
        Route(f"{_DEVICE}/utterances", endpoint(speech.listing)),
        Route(f"{_DEVICE}/utterances/{{start:int}}-{{number:int}}.wav", endpoint(speech.audio)),
        Route(f"{_DEVICE}/listen", endpoint(speech.listen), methods=["POST"]),
        Route(f"{_DEVICE}/outcomes", endpoint(heard.outcomes)),
        Route(f"{_DEVICE}/say", endpoint(heard.say), methods=["POST"]),
        Route(f"{_DEVICE}/series", endpoint(history.values)),
        Route(f"{_DEVICE}/update", endpoint(update.order), methods=["POST"]),
        Route(f"{_DEVICE}/update/cancel", endpoint(update.cancel), methods=["POST"]),
        Route(f"{_DEVICE}/profile", endpoint(profile.download), methods=["POST"]),
        Route("/api/apps", endpoint(apps.listing)),
        Route("/api/apps", endpoint(apps.add), methods=["POST"]),
        Route("/api/apps/{app:int}/secret", endpoint(apps.secret), methods=["POST"]),
        Route("/api/products", endpoint(products.listing)),
        Route("/api/products", endpoint(products.add), methods=["POST"]),
        Route(_PRODUCT, endpoint(product.one)),
        Route(f"{_PRODUCT}/batches", endpoint(products.add_batch), methods=["POST"]),
        Route(_POINTS, endpoint(product.add_point), methods=["POST"]),
        Route(f"{_POINTS}/template", endpoint(product.apply_template), methods=["POST"]),
        Route(f"{_POINTS}/remove", endpoint(product.remove_point), methods=["POST"]),
        Route(f"{_PRODUCT}/apps/{{app:int}}/bind", endpoint(apps.bind), methods=["POST"]),
        Route(f"{_PRODUCT}/apps/{{app:int}}/unbind", endpoint(apps.unbind), methods=["POST"]),
        Route("/api/batches/{batch:int}/devices", endpoint(products.batch_devices)),
        Route("/api/versions", endpoint(versions.listing)),
        Route("/api/versions", endpoint(versions.upload), methods=["PUT"]),
        Route("/api/versions/{package:int}/verify", endpoint(versions.verify), methods=["POST"]),
        Route("/api/versions/{package:int}/pass", endpoint(versions.passed), methods=["POST"]),
        Route("/api/strategies", endpoint(strategies.listing)),
        Route("/api/strategies", endpoint(strategies.add), methods=["POST"]),
        Route("/api/strategies/{strategy:int}/publish", endpoint(strategies.publish), methods=["POST"]),
        Route("/api/strategies/{strategy:int}/withdraw", endpoint(strategies.withdraw), methods=["POST"]),
        Route("/api/{rest:path}", endpoint(_nothing)),
        Route("/static/{name:path}", _file),
        # Every other path is a page of the same document; its modules interpret the path.
        Route("/{rest:path}", _page),
    ]  # fmt: skip


async def _nothing(_call: object) -> Response:
    return Response(status_code=404)


async def _file(request: Request) -> Response:
    console: Console = request.app.state.console
    return console.assets.respond(request, request.path_params["name"])


async def _page(request: Request) -> Response:
    console: Console = request.app.state.console
    return console.assets.respond(request, INDEX)


class PathSwitch:
    """Routes requests below /console to the console, and all others to the open API."""

    def __init__(self, api: ASGIApp, console: ASGIApp) -> None:
        self._api, self._console = api, console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == PATH or path.startswith(f"{PATH}/")):
            await self._api(scope, receive, send)
        elif path == PATH:
            await RedirectResponse(f"{PATH}/", 308)(scope, receive, _with_headers(send))
        else:
            below = {**scope, "root_path": scope.get("root_path", "") + PATH}
            await self._console(below, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            _add_headers(message)
        await send(message)

    return sending


def _add_headers(message: MutableMapping[str, Any]) -> None:
    headers = MutableHeaders(scope=message)
    headers.update(HEADERS)
    headers.setdefault("Cache-Control", "no-store")
