"""The local HTTP API: on a Unix socket for the command line, and on 127.0.0.1 and by HTTPS if configured.

``GET /status``, ``GET /resource``, ``GET|PUT /{data point}``, ``POST /voice`` (a WAV file), and on
the socket only ``POST /listen`` and ``DELETE /newfirmware?transaction=…``. Values and errors come from the dispatch, so
they are the same as with CoAP; the status codes follow RFC 8075.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping

from agent.link import LinkError, ReportRejectedError
from agent.local.gate import Gate
from agent.local.web import (
    App,
    ClientGoneError,
    JSONResponse,
    Request,
    Response,
    Route,
    Site,
)
from agent.routes import Canceller, serve_cancel
from agent.voice.sender import VoiceSender
from audio.errors import AudioError, SpeexUnavailableError
from audio.wav import read_wav
from resources.dispatch import Dispatch
from wire import exchange
from wire.codes import Code
from wire.ota import ORDER_PATH
from wire.reports import DESCRIPTION_PATH

# Seconds for which a body may pause.
IDLE_SECONDS = 10.0
# Seconds for a whole body: `exchange.WAV_LIMIT` over a slow Wi-Fi.
BODY_SECONDS = 120.0

Status = Callable[[], Awaitable[Mapping[str, object]]]


def build_app(
    dispatch: Dispatch,
    voice: VoiceSender,
    status: Status,
    cancel: Canceller,
    others: Iterable[Route] = (),
    token: str = "",
) -> App:
    """Return the local API as an application (`agent.local.web`).

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
        body = await read_body(request, exchange.WAV_LIMIT)
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
    routes = [
        Route("/status", show_status, methods=["GET"]),
        Route("/voice", say, methods=["POST"]),
        Route(f"/{'/'.join(ORDER_PATH)}", cancel_update, methods=["DELETE"]),
        *others,
        Route("/{path:path}", data_point, methods=any_method),
    ]
    return Gate(Site(routes), token)


class _Told(JSONResponse):
    """JSON of what may have a file's name in it, whose bytes need not be UTF-8."""

    def render(self, content: object) -> bytes:
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
    except ClientGoneError:
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
