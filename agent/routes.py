"""Maps paths to data point names and answers to replies, for all protocols.

The cloud link, local CoAP and local HTTP pass their requests here. Only the cloud may order an
update; the command line may also cancel one (`agent.local.http`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from resources.dispatch import Answer, Dispatch
from transport.framed import Handler, Reply, Request
from wire.codes import Code
from wire.errors import WireError, show
from wire.fields import dump_object
from wire.ota import ORDER_PATH, parse_cancel_query
from wire.reports import DESCRIPTION_PATH

OrderTaker = Callable[[bytes], Awaitable[tuple[Code, str]]]
Canceller = Callable[[str], Awaitable[tuple[Code, str]]]


async def serve(dispatch: Dispatch, method: str, path: tuple[str, ...], payload: bytes) -> Reply:
    """Serve a data point or the self-description, for every protocol."""
    name = "/".join(path)
    if path == DESCRIPTION_PATH:
        if method != "GET":
            return _reply(Answer(Code.METHOD_NOT_ALLOWED, f"{name}: only GET"))
        return Reply(Code.CONTENT, dump_object(dispatch.describe()))
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        reason = f"{show(name)}: got {show(payload)}, expected UTF-8 text"
        return _reply(Answer(Code.BAD_REQUEST, reason))
    return _reply(await dispatch.request(method, name, text))


async def serve_cancel(cancel: Canceller, query: Iterable[str]) -> Reply:
    """Serve ``DELETE /newfirmware?transaction=…`` (docs/adr/0013)."""
    try:
        transaction = parse_cancel_query(query)
    except WireError as error:
        return _reply(Answer(Code.BAD_REQUEST, str(error)))
    return _reply(Answer(*await cancel(transaction)))


def cloud_handler(dispatch: Dispatch, take_order: OrderTaker, cancel: Canceller) -> Handler:
    """Return the cloud's handler: `serve`, plus update orders and their cancellation."""

    async def handle(request: Request) -> Reply:
        if request.path != ORDER_PATH:
            return await serve(dispatch, request.method, request.path, request.payload)
        if request.method == "DELETE":
            return await serve_cancel(cancel, request.query)
        if request.method != "PUT":
            return _reply(Answer(Code.METHOD_NOT_ALLOWED, "newfirmware: only PUT and DELETE"))
        return _reply(Answer(*await take_order(request.payload)))

    return handle


def _reply(answer: Answer) -> Reply:
    # A product's own data point may return text that cannot be encoded (lone surrogates).
    return Reply(answer.code, answer.text.encode(errors="replace"))
