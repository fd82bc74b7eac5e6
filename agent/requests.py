"""What the protocols share between the wire and the dispatch: paths to names, answers to replies.

The cloud link, local CoAP and local HTTP hand their requests here. The update order is the
cloud's alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from resources.dispatch import Answer, Dispatch
from transport.framed import Handler, Reply, Request
from wire.codes import Code
from wire.errors import show
from wire.fields import dump_object
from wire.ota import ORDER_PATH
from wire.reports import DESCRIPTION_PATH

OrderTaker = Callable[[bytes], Awaitable[tuple[Code, str]]]


async def serve(dispatch: Dispatch, method: str, path: tuple[str, ...], payload: bytes) -> Reply:
    """Serve a data point or the self-description to anybody who may ask."""
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


def cloud_handler(dispatch: Dispatch, take_order: OrderTaker) -> Handler:
    """Serve the cloud: what everybody is served, and update orders."""

    async def handle(request: Request) -> Reply:
        if request.path != ORDER_PATH:
            return await serve(dispatch, request.method, request.path, request.payload)
        if request.method != "PUT":
            return _reply(Answer(Code.METHOD_NOT_ALLOWED, "newfirmware: only PUT"))
        return _reply(Answer(*await take_order(request.payload)))

    return handle


def _reply(answer: Answer) -> Reply:
    # A product's own data point may hand over what no protocol can carry.
    return Reply(answer.code, answer.text.encode(errors="replace"))
