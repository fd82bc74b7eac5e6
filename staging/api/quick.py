"""What apps ask most, a device's state and the value of a data point, without FastAPI's layers, which cost more than the work.

Only a request that needs none of them is answered here: with exactly the parameters that are asked for, in
the form that is asked for, and from no page of another origin. Every other one goes on untouched to FastAPI,
whose routes call the same functions; so the answers are the same, and refusals of parameters are FastAPI's.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from staging.api.accounts import device_info
from staging.api.auth import read_headers
from staging.api.bodies import read_json
from staging.api.control import control
from staging.api.envelope import PREFIX, answer_to
from staging.api.params import ControlBody
from staging.services import Services

INFO = ("GET", f"{PREFIX}/device/info/by_uuid")
SEND = ("POST", f"{PREFIX}/device/control/send")

_INFO_QUERY = re.compile(rb"deviceUuid=([0-9a-fA-F]{14})")
_JSON = b"application/json"


class Place(NamedTuple):
    """What a route is known by where there is none."""

    path: str


Work = Callable[[Request], Awaitable[JSONResponse]]


class Quick:
    """Answers plain requests to the two endpoints, and passes the others on."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        """Pass on to ``app``; both work with ``services``."""
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        work: Work | None = None
        try:
            if scope["type"] == "http":
                place = (scope["method"], scope["path"])
                if place == INFO:
                    work = self._info(scope)
                elif place == SEND:
                    receive, work = await self._send(scope, receive)
            if work is not None:
                # The route's row in the table of rights is found by its path.
                request = Request({**scope, "route": Place(scope["path"])})
                response = await work(request)
        except Exception as error:  # noqa: BLE001  # raised again where it is a bug
            response = answer_to(error, scope["path"])
        else:
            if work is None:
                await self._app(scope, receive, send)
                return
        await response(scope, receive, send)

    def _info(self, scope: Scope) -> Work | None:
        asked = _INFO_QUERY.fullmatch(scope["query_string"])
        if asked is None or _header(scope, b"origin") is not None:
            return None
        uuid = asked[1].decode().lower()

        async def work(request: Request) -> JSONResponse:
            return await device_info(self._services, await read_headers(request), uuid)

        return work

    async def _send(self, scope: Scope, receive: Receive) -> tuple[Receive, Work | None]:
        """Return the work, and what the body can be received from again."""
        if (
            scope["query_string"]
            or _header(scope, b"content-type") != _JSON
            or _header(scope, b"content-encoding") is not None
            or _header(scope, b"origin") is not None
        ):
            return receive, None
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        again = _first(messages, receive)
        try:
            whole = b"".join(message.get("body", b"") for message in messages)
            body = ControlBody.model_validate(read_json(whole))
        except (ValidationError, ValueError, RecursionError):
            return again, None
        if body.method != "GET":
            return again, None  # a change is logged by its route

        async def work(request: Request) -> JSONResponse:
            return await control(self._services, await read_headers(request), body)

        return again, work


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)


def _first(messages: Sequence[Message], receive: Receive) -> Receive:
    """Return what receives ``messages``, and then what comes after them."""
    waiting = deque(messages)

    async def again() -> Message:
        return waiting.popleft() if waiting else await receive()

    return again
