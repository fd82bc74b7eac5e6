"""The console's routes and headers, and the dispatch between the console and the open API."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from staging.advise.desk import Desk
from staging.advise.shelf import Shelf
from staging.bulk_jobs import Jobs
from staging.console import (
    accounts,
    advice,
    apps,
    audit,
    bulk,
    controls,
    dashboard,
    device,
    devices,
    explorer,
    faults,
    heard,
    history,
    labels,
    life,
    live,
    login,
    me,
    product,
    products,
    profile,
    rollouts,
    speech,
    strategies,
    update,
    versions,
    webhooks,
    wires,
)
from staging.console.assets import INDEX, Assets
from staging.console.call import ID_DIGITS, Call, Console, ConsoleError, open_endpoint
from staging.console.gate import Work, endpoint
from staging.console.sessions import Sessions
from staging.console.watchers import Hub
from staging.data_dir import DataDir
from staging.services import Services
from wire.errors import show

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


class _Id(Convertor[int]):
    """An id in a path; a longer number is no path of ours, and would be no integer of a database."""

    regex = f"[0-9]{{1,{ID_DIGITS}}}"

    def convert(self, value: str) -> int:
        """Return the number."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Return its digits."""
        return str(value)


register_url_convertor("id", _Id())
_PRODUCT = "/api/products/{product:id}"
_ACCOUNT = "/api/accounts/{account:id}"
_STRATEGY = "/api/strategies/{strategy:id}"
_WEBHOOK = "/api/webhooks/{webhook:id}"
_POINTS = f"{_PRODUCT}/points"


def create_console(services: Services, data: DataDir) -> Starlette:
    """Make the console of a cloud, and connect its hub to the gateway."""
    hub = Hub()
    services.gateway.watch(hub.notify)
    if services.bench is not None:
        services.bench.board.watch(hub.notify)
    app = Starlette(routes=routes())
    told = bulk.teller(services.audit, hub, services.clock)
    gateway = services.gateway
    jobs = Jobs(services.database, gateway, services.clock, told, gateway.sessions.ids)
    desk = Desk(data.root, services.database.address, services.clock, hub.notify)
    app.state.console = Console(
        services, data, Sessions(time.monotonic), hub, Assets(), jobs, desk, Shelf(data.root)
    )
    return app


def routes() -> list[Route]:
    """Return the console's routes, below its own path."""
    return [
        Route("/api/session", open_endpoint(login.show, use=False)),
        Route("/api/session", open_endpoint(login.log_in), methods=["POST"]),
        _route("DELETE", "/api/session", login.log_out),
        _route("GET", "/api/devices", devices.listing),
        _route("GET", "/api/devices.csv", devices.as_csv),
        _route("GET", "/api/device-filters", devices.filters),
        _route("POST", "/api/bulk/preview", bulk.preview),
        _route("POST", "/api/bulk", bulk.begin),
        _route("POST", "/api/bulk/labels", labels.sheet),
        _route("GET", "/api/bulk/{job:id}", bulk.progress),
        _route("POST", f"{_DEVICE}/tags", bulk.tag),
        _route("GET", "/api/live", live.all_devices),
        _route("GET", _DEVICE, device.one),
        _route("GET", f"{_DEVICE}/live", live.one_device),
        _route("POST", f"{_DEVICE}/bind", device.bind),
        _route("POST", f"{_DEVICE}/unbind", device.unbind),
        _route("PUT", f"{_DEVICE}/name", device.rename),
        _route("POST", f"{_DEVICE}/control", controls.control),
        _route("GET", f"{_DEVICE}/utterances", speech.listing),
        _route("GET", f"{_DEVICE}/utterances/{{start:id}}-{{number:id}}.wav", speech.audio),
        _route("POST", f"{_DEVICE}/listen", speech.listen),
        _route("GET", f"{_DEVICE}/outcomes", heard.outcomes),
        _route("POST", f"{_DEVICE}/say", heard.say),
        _route("GET", f"{_DEVICE}/series", history.values),
        _route("POST", f"{_DEVICE}/update", update.order),
        _route("POST", f"{_DEVICE}/update/cancel", update.cancel),
        _route("GET", f"{_DEVICE}/faults", faults.listing),
        _route("POST", f"{_DEVICE}/faults", faults.begin),
        _route("POST", f"{_DEVICE}/faults/clear", faults.clear),
        _route("GET", f"{_DEVICE}/advice", advice.listing),
        _route("POST", f"{_DEVICE}/advice", advice.begin),
        _route("POST", f"{_DEVICE}/advice/cancel", advice.cancel),
        _route("GET", f"{_DEVICE}/advice/compare", advice.compared),
        _route("GET", f"{_DEVICE}/advice/{{report:id}}", advice.shown),
        _route("GET", f"{_DEVICE}/advice/{{report:id}}/{{form}}", advice.download),
        _route("GET", f"{_DEVICE}/wire", wires.frames),
        _route("POST", f"{_DEVICE}/wire", wires.keep),
        _route("GET", f"{_DEVICE}/wire.jsonl", wires.download),
        _route("GET", f"{_DEVICE}/life", life.timeline),
        _route("GET", f"{_DEVICE}/life.jsonl", life.download),
        _route("GET", f"{_DEVICE}/updates", life.updates),
        _route("POST", f"{_DEVICE}/diag", life.diagnose),
        _route("GET", f"{_DEVICE}/diag", life.diagnosis),
        _route("GET", f"{_DEVICE}/diag.tar.gz", life.archive),
        _route("GET", f"{_DEVICE}/diag/log", life.log),
        _route("POST", f"{_DEVICE}/profile", profile.download),
        _route("GET", "/api/apps", apps.listing),
        _route("POST", "/api/apps", apps.add),
        _route("POST", "/api/apps/{app:id}/secret/renew", apps.renew_secret),
        _route("POST", "/api/apps/{app:id}/origins", apps.set_origins),
        _route("GET", "/api/explorer", explorer.content),
        _route("POST", "/api/explorer/token", explorer.token),
        _route("POST", "/api/explorer/case", explorer.case),
        _route("POST", "/api/me/password", me.change_password),
        _route("GET", "/api/products", products.listing),
        _route("POST", "/api/products", products.add),
        _route("GET", _PRODUCT, product.one),
        _route("POST", f"{_PRODUCT}/batches", products.add_batch),
        _route("POST", _POINTS, product.add_point),
        _route("POST", f"{_POINTS}/template", product.apply_template),
        _route("POST", f"{_POINTS}/remove", product.remove_point),
        _route("POST", f"{_PRODUCT}/apps/{{app:id}}/bind", apps.bind),
        _route("POST", f"{_PRODUCT}/apps/{{app:id}}/unbind", apps.unbind),
        _route("GET", "/api/batches/{batch:id}/devices", products.batch_devices),
        _route("GET", "/api/versions", versions.listing),
        _route("PUT", "/api/versions", versions.upload),
        _route("POST", "/api/versions/{package:id}/verify", versions.verify),
        _route("POST", "/api/versions/{package:id}/pass", versions.passed),
        _route("GET", "/api/strategies", strategies.listing),
        _route("POST", "/api/strategies", strategies.add),
        _route("GET", _STRATEGY, rollouts.one),
        _route("GET", f"{_STRATEGY}/preview", rollouts.preview),
        _route("POST", f"{_STRATEGY}/publish", rollouts.publish),
        _route("POST", f"{_STRATEGY}/pause", rollouts.pause),
        _route("POST", f"{_STRATEGY}/resume", rollouts.resume),
        _route("POST", f"{_STRATEGY}/withdraw", rollouts.withdraw),
        _route("POST", f"{_STRATEGY}/retry", rollouts.retry),
        _route("POST", f"{_STRATEGY}/open", rollouts.open_next),
        _route("PUT", f"{_STRATEGY}/phases", rollouts.plan),
        _route("GET", "/api/accounts", accounts.listing),
        _route("POST", "/api/accounts", accounts.add),
        _route("POST", f"{_ACCOUNT}/role", accounts.change_role),
        _route("POST", f"{_ACCOUNT}/disable", accounts.disable),
        _route("POST", f"{_ACCOUNT}/enable", accounts.enable),
        _route("POST", f"{_ACCOUNT}/password", accounts.renew_password),
        _route("POST", f"{_ACCOUNT}/sessions/revoke", accounts.revoke_sessions),
        _route("POST", f"{_ACCOUNT}/tokens/revoke", accounts.revoke_tokens),
        _route("GET", "/api/dashboard", dashboard.show),
        _route("POST", "/api/alarms/{alarm:id}/acknowledge", dashboard.acknowledge),
        _route("POST", "/api/alarms/settings", webhooks.set_settings),
        _route("GET", "/api/webhooks", webhooks.listing),
        _route("POST", "/api/webhooks", webhooks.add),
        _route("POST", f"{_WEBHOOK}/test", webhooks.test),
        _route("POST", f"{_WEBHOOK}/on", webhooks.switch_on),
        _route("POST", f"{_WEBHOOK}/off", webhooks.switch_off),
        _route("POST", f"{_WEBHOOK}/remove", webhooks.remove),
        _route("GET", "/api/audit", audit.listing),
        _route("GET", "/api/audit.csv", audit.as_csv),
        *(
            _route(method, "/api/{rest:path}", _nothing)
            for method in ("GET", "POST", "PUT", "DELETE")
        ),
        Route("/static/{name:path}", _file),
        # Every other path is a page of the same document; its modules interpret the path.
        Route("/{rest:path}", _page),
    ]


def _route(method: str, path: str, work: Work) -> Route:
    """Return the route of a handler for those that its row in `rights.CONSOLE` allows."""
    return Route(path, endpoint(method, path, work), methods=[method])


async def _nothing(call: Call) -> Response:
    raise ConsoleError(404, "not_found", f"{show(call.request.url.path)}: there is none")


async def _file(request: Request) -> Response:
    console: Console = request.app.state.console
    return console.assets.respond(request, request.path_params["name"])


async def _page(request: Request) -> Response:
    console: Console = request.app.state.console
    return console.assets.respond(request, INDEX)


class PathSwitch:
    """Routes requests below /console to the console, / to its page, and all others to the open API."""

    def __init__(self, api: ASGIApp, console: ASGIApp) -> None:
        self._api, self._console = api, console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if scope["type"] == "http" and path == "/" and scope.get("method") in {"GET", "HEAD"}:
            # Whoever types the cloud's address is a person.
            await RedirectResponse(f"{PATH}/", 307)(scope, receive, _with_headers(send))
        elif scope["type"] != "http" or not (path == PATH or path.startswith(f"{PATH}/")):
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
