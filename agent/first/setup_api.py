"""The local API of set-up mode: ``GET /status``; everything else is told that the machine waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.local.gate import Gate
from agent.local.http import respond
from agent.local.server import LocalServer
from agent.local.web import JSONResponse, Request, Response, Route, Site
from wire.codes import Code
from wire.exchange import Answer


def setup_server(status: Callable[[], Mapping[str, object]]) -> LocalServer:
    """Return the server on the agent's socket while the agent waits; ``status`` says for what."""

    async def show_status(_request: Request) -> Response:
        return JSONResponse(status())

    async def refuse(_request: Request) -> Response:
        link = status()["link"]
        told = link if isinstance(link, Mapping) else {}
        reason = f"the machine is not set up: {told.get('last_error')}; {told.get('remedy')}"
        return respond(Answer.from_text(Code.SERVICE_UNAVAILABLE, reason))

    routes = [
        Route("/status", show_status, methods=["GET"]),
        Route("/{path:path}", refuse, methods=["GET", "PUT", "POST", "DELETE", "PATCH"]),
    ]
    return LocalServer(Gate(Site(routes), token=""))
