"""``GET`` and ``DELETE /voice-ledger``: the ledger of the child's voice, for ``story-agent voice``; on the socket only.

The device page has its own routes for it (`agent.local.page.routes`), behind its log-in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from agent.local.http import respond
from agent.local.web import JSONResponse, Request, Response, Route
from wire.codes import Code
from wire.errors import FieldError, WireError
from wire.exchange import Answer

if TYPE_CHECKING:
    from agent.family import FamilyRoom

PATH = "/voice-ledger"
# Entries that one request names; the ledger has no more.
NUMBERS_MAX = 300


def read_numbers(text: str | None) -> list[int] | None:
    """Return the entries that ``3,5,8`` names, None for all (no text); raises FieldError."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    good = all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts)
    if not good or len(parts) > NUMBERS_MAX:
        raise FieldError("id", text, f"1 to {NUMBERS_MAX} numbers of entries, joined by commas")
    return [int(part) for part in parts]


def ledger_routes(family: FamilyRoom) -> list[Route]:
    """Return the routes: the ledger as JSON, and the order to erase entries (``?id=3,5``) or all."""

    async def show(_request: Request) -> Response:
        return JSONResponse(dict(await family.ledger.shown()))

    async def erase(request: Request) -> Response:
        try:
            numbers = read_numbers(request.query_params.get("id"))
        except WireError as error:
            return respond(Answer.from_text(Code.BAD_REQUEST, str(error)))
        count, missing = await family.ledger.erase(numbers)
        if missing:
            text = f"id: got {min(missing)}, expected an entry of the ledger"
            return respond(Answer.from_text(Code.NOT_FOUND, text))
        return JSONResponse({"ordered": count, **await family.ledger.shown()})

    return [
        Route(PATH, _on_socket(show), methods=["GET"]),
        Route(PATH, _on_socket(erase), methods=["DELETE"]),
    ]


def _on_socket(
    answer: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def asked(request: Request) -> Response:
        if request.client is not None:  # a port on 127.0.0.1 is open to every program
            reason = b"voice-ledger: only over the agent's socket (story-agent voice)"
            return respond(Answer(Code.FORBIDDEN, reason))
        return await answer(request)

    return asked
