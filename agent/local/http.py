"""The local HTTP API: on a Unix socket for the command line, and on 127.0.0.1 and by HTTPS if configured.

``GET /status``, ``GET /resource``, ``GET|PUT /{data point}``, ``POST /voice`` (a WAV file), and on
the socket only ``POST /listen`` and ``DELETE /newfirmware?transaction=…``. Values and errors come from the dispatch, so
they are the same as with CoAP; the status codes follow RFC 8075.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.link import LinkError, ReportRejectedError
from agent.local.gate import Gate
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
SHUTDOWN_SECONDS = 2
# Each may use WAV_LIMIT bytes of memory, and only a few local programs ask at once.
REQUEST_LIMIT = 16
# Connections; beyond that the oldest idle one is dropped, so that whoever opens many and asks nothing
# keeps nobody from asking.
CONNECTION_LIMIT = 64
# Seconds until the first request of a connection is complete up to its body, and for which a body may
# pause.
IDLE_SECONDS = 10.0
# Seconds for a whole body: WAV_LIMIT over a slow Wi-Fi.
BODY_SECONDS = 120.0

Status = Callable[[], Awaitable[Mapping[str, object]]]


def build_app(
    dispatch: Dispatch,
    voice: VoiceSender,
    status: Status,
    cancel: Canceller,
    others: Iterable[BaseRoute] = (),
    token: str = "",
) -> Starlette:
    """Return the local API as an ASGI application.

    ``others`` are routes of other parts; ``token`` is asked for as `agent.local.gate` says.
    """

    async def show_status(_request: Request) -> Response:
        return _Told(await status())

    async def data_point(request: Request) -> Response:
        body = await read_body(request, exchange.BODY_LIMIT)
        if isinstance(body, exchange.Answer):
            return respond(body)
        path = tuple(request.path_params["path"].split("/"))
        # HEAD is GET without the body, which the server leaves out (RFC 9110 section 9.3.2).
        method = "GET" if request.method == "HEAD" else request.method
        asked = exchange.Request(method, path, payload=body)
        answer = await dispatch.handle_local(asked)
        is_json = path == DESCRIPTION_PATH and answer.code == Code.CONTENT
        return respond(answer, "application/json" if is_json else "text/plain; charset=utf-8")

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
        middleware=[Middleware(Gate, token=token)],
    )


class _Told(JSONResponse):
    """JSON of what may have a file's name in it, whose bytes need not be UTF-8."""

    def render(self, content: Any) -> bytes:
        """Return the body; such a byte becomes an escape of JSON."""
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")


async def read_body(request: Request, limit: int) -> bytes | exchange.Answer:
    """Return the body, or an error answer if it is cut short, stalls or is over ``limit`` bytes."""
    loop = asyncio.get_running_loop()
    end = loop.time() + BODY_SECONDS
    body = bytearray()
    try:
        async with asyncio.timeout(IDLE_SECONDS) as patience:
            async for chunk in request.stream():
                patience.reschedule(min(end, loop.time() + IDLE_SECONDS))
                body += chunk
                if len(body) > limit:
                    return exchange.Answer(
                        Code.TOO_LARGE, f"body: expected at most {limit} bytes".encode()
                    )
    except ClientDisconnect:
        return exchange.Answer(Code.BAD_REQUEST, b"body: cut short")
    except TimeoutError:  # its place is for others
        return exchange.Answer(Code.BAD_REQUEST, b"body: it stopped coming")
    return bytes(body)


def respond(answer: exchange.Answer, media_type: str = "text/plain; charset=utf-8") -> Response:
    """Return an answer as HTTP has it (RFC 8075)."""
    code = Code(answer.code)
    body = answer.payload if code.is_success else answer.payload + b"\n"
    headers = {"X-CoAP-Code": code.dotted}
    return Response(body, code.http_status, headers=headers, media_type=media_type)


class _Bounded:
    """Answers 503 beyond REQUEST_LIMIT requests at once, and if the agent stops during one."""

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._running >= REQUEST_LIMIT:
            await _refuse(b"too many requests at once")(scope, receive, send)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:  # uvicorn would log that as an error
            await _refuse(b"the agent ends")(scope, receive, send)
        finally:
            self._running -= 1


def _refuse(reason: bytes) -> Response:
    return respond(exchange.Answer(Code.SERVICE_UNAVAILABLE, reason))


class _Patient(H11Protocol):
    """A connection that is dropped when it asks nothing: after a while, or for the sake of others."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.made_at = self.loop.time()
        self._first = self.loop.call_later(IDLE_SECONDS, self._drop_unless_asked)
        idle = [
            each for each in self.connections
            if isinstance(each, _Patient) and each.is_idle and each is not self
        ]  # fmt: skip
        if len(self.connections) > CONNECTION_LIMIT and idle:
            min(idle, key=lambda each: (each.has_asked, each.made_at)).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._first.cancel()
        super().connection_lost(exc)

    @property
    def has_asked(self) -> bool:
        """Whether a request has come on it."""
        # uvicorn has None there before the first one, which its types do not say.
        return getattr(self, "cycle", None) is not None

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered on it."""
        return not self.has_asked or self.cycle.response_complete

    def _drop_unless_asked(self) -> None:
        if not self.has_asked:
            self.transport.abort()


class LocalServer(uvicorn.Server):
    """uvicorn in the agent's event loop; the agent handles signals and logging."""

    def __init__(self, app: Starlette, tls: tuple[Path, Path] | None = None) -> None:
        """Serve ``app``; by TLS if ``tls`` names the files of a certificate and its key."""
        certificate, key = tls or (None, None)
        super().__init__(
            uvicorn.Config(
                _Bounded(app),
                access_log=False,
                backlog=2 * CONNECTION_LIMIT,  # also how many are accepted before others are closed
                http=_Patient,
                interface="asgi3",
                lifespan="off",
                log_config=None,
                loop="asyncio",
                proxy_headers=False,
                server_header=False,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                ws="none",
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do not install handlers: the agent handles signals."""
        yield
