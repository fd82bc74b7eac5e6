"""The requests beside data points: an update order, its cancellation, and what other parts take from the cloud.

Only the cloud may order an update; the command line may also cancel one (`agent.local.http`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from resources.dispatch import Dispatch
from wire.codes import Code
from wire.errors import WireError
from wire.exchange import Answer, Handler, Request
from wire.ota import ORDER_PATH, parse_cancel_query

OrderTaker = Callable[[bytes], Awaitable[Answer]]
Canceller = Callable[[str], Awaitable[Answer]]
_NOTHING: Mapping[tuple[str, ...], Handler] = {}


async def serve_cancel(cancel: Canceller, query: Iterable[str]) -> Answer:
    """Serve ``DELETE /newfirmware?transaction=…`` (docs/adr/0013)."""
    try:
        transaction = parse_cancel_query(query)
    except WireError as error:
        return Answer.from_text(Code.BAD_REQUEST, str(error))
    return await cancel(transaction)


def cloud_handler(
    dispatch: Dispatch,
    take_order: OrderTaker,
    cancel: Canceller,
    others: Mapping[tuple[str, ...], Handler] = _NOTHING,
) -> Handler:
    """Return the cloud's handler: the dispatch, plus update orders and their cancellation.

    ``others`` has handlers of other parts by their paths; it may be filled later.
    """

    async def handle(request: Request) -> Answer:
        if request.path != ORDER_PATH:
            return await others.get(request.path, dispatch.handle)(request)
        if request.method == "DELETE":
            return await serve_cancel(cancel, request.query)
        if request.method != "PUT":
            return Answer(Code.METHOD_NOT_ALLOWED, b"newfirmware: only PUT and DELETE")
        return await take_order(request.payload)

    return handle
