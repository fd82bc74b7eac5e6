"""The local HTTP API, on a Unix socket for the command line, and on 127.0.0.1 if configured.

``GET /status``, ``GET /resource``, ``GET|PUT /{data point}``, ``POST /voice`` (a WAV file), and on
the socket only ``POST /listen`` and ``DELETE /newfirmware?transaction=…``. Values and errors come from the dispatch, so
they are the same as with CoAP; the status codes follow RFC 8075.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from agent.link import LinkError, ReportRejectedError
from agent.routes import Canceller, serve_cancel
from agent.voice.sender import VoiceSender
from audio.errors import AudioError, SpeexUnavailableError
from audio.wav import read_wav
from resources.dispatch import Dispatch
from wire import exchange
from wire.codes import Code
from wire.ota import ORDER_PATH
from wire.reports import DESCRIPTION_PATH

# Bytes: a minute of 48 kHz stereo. Longer sound is cut anyway (voice.max_seconds).
WAV_LIMIT = 12 * 1024 * 1024
VALUE_LIMIT = 8 * 1024
SHUTDOWN_SECONDS = 2
# Against DNS rebinding: a web page must not reach this API through a host name that resolves to
# 127.0.0.1. "agent" is for curl --unix-socket, which needs some name.
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "agent"]
# Each may use WAV_LIMIT bytes of memory, and only a few local tools connect.
CONNECTION_LIMIT = 16

Status = Callable[[], Awaitable[Mapping[str, object]]]


def build_app(
    dispatch: Dispatch,
    voice: VoiceSender,
    status: Status,
    cancel: Canceller,
    others: Iterable[BaseRoute] = (),
) -> Starlette:
    """Return the local API as an ASGI application; ``others`` are routes of other parts."""

    async def show_status(_request: Request) -> Response:
        return JSONResponse(await status())

    async def data_point(request: Request) -> Response:
        body = await read_body(request, VALUE_LIMIT)
        if isinstance(body, exchange.Answer):
            return respond(body)
        path = tuple(request.path_params["path"].split("/"))
        asked = exchange.Request(request.method, path, payload=body)
        answer = await dispatch.handle_local(asked)
        json = path == DESCRIPTION_PATH and answer.code == Code.CONTENT
        return respond(answer, "application/json" if json else "text/plain; charset=utf-8")

    async def say(request: Request) -> Response:
        body = await read_body(request, WAV_LIMIT)
        if isinstance(body, exchange.Answer):
            return respond(body)
        try:
            sound = await asyncio.to_thread(read_wav, body)
            return JSONResponse((await voice.send(sound)).to_json())
        except AudioError as error:
            return respond(exchange.Answer.from_text(Code.BAD_REQUEST, str(error)))
        except (LinkError, ReportRejectedError, SpeexUnavailableError) as error:
            reason = f"the utterance was dropped: {error}"
            return respond(exchange.Answer.from_text(Code.SERVICE_UNAVAILABLE, reason))

    async def cancel_update(request: Request) -> Response:
        # The socket's file mode restricts access; a port on 127.0.0.1 is open to every program.
        if request.client is not None:
            reason = b"newfirmware: only over the agent's socket (story-agent update cancel)"
            return respond(exchange.Answer(Code.FORBIDDEN, reason))
        query = [f"{name}={value}" for name, value in request.query_params.items()]
        return respond(await serve_cancel(cancel, query))

    any_method = ["GET", "PUT", "POST", "DELETE", "PATCH"]
    return Starlette(
        routes=[
            Route("/status", show_status, methods=["GET"]),
            Route("/voice", say, methods=["POST"]),
            Route(f"/{'/'.join(ORDER_PATH)}", cancel_update, methods=["DELETE"]),
            *others,
            Route("/{path:path}", data_point, methods=any_method),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=ALLOWED_HOSTS)],
    )


async def read_body(request: Request, limit: int) -> bytes | exchange.Answer:
    """Return the body, or an error answer if it is cut short or over ``limit`` bytes."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                return exchange.Answer(
                    Code.TOO_LARGE, f"body: expected at most {limit} bytes".encode()
                )
    except ClientDisconnect:
        return exchange.Answer(Code.BAD_REQUEST, b"body: cut short")
    return bytes(body)


def respond(answer: exchange.Answer, media_type: str = "text/plain; charset=utf-8") -> Response:
    """Return an answer as HTTP has it (RFC 8075)."""
    code = Code(answer.code)
    body = answer.payload if code.is_success else answer.payload + b"\n"
    headers = {"X-CoAP-Code": code.dotted}
    return Response(body, code.http_status, headers=headers, media_type=media_type)


class _Interruptible:
    """Answers 503 if the agent stops during a request; uvicorn would log that as an error."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            answer = respond(exchange.Answer(Code.SERVICE_UNAVAILABLE, b"the agent ends"))
            await answer(scope, receive, send)


class LocalServer(uvicorn.Server):
    """uvicorn in the agent's event loop; the agent handles signals and logging."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                _Interruptible(app),
                access_log=False,
                http="h11",
                interface="asgi3",
                limit_concurrency=CONNECTION_LIMIT,
                lifespan="off",
                log_config=None,
                loop="asyncio",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                ws="none",
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do not install handlers: the agent handles signals."""
        yield
