"""``POST /listen``: open the microphone, or close it before its time; on the agent's socket only.

A port on 127.0.0.1 is open to every program and to web pages, and none of them may open a microphone.
"""

from __future__ import annotations

from agent.local.http import read_body, respond
from agent.local.web import JSONResponse, Request, Response, Route
from agent.voice.ears import Ears
from wire.codes import Code
from wire.errors import show
from wire.exchange import Answer
from wire.family import Why

# Bytes of an action's name.
ACTION_LIMIT = 64
START, HOLD, RELEASE, CANCEL = "start", "hold", "release", "cancel"


def listen_routes(ears: Ears) -> list[Route]:
    """Return the route; its answer is how listening ended, as JSON (docs/listening.md).

    The body is an action: ``start`` (or none) listens until silence, ``hold`` until ``release``.
    """

    async def listen(request: Request) -> Response:
        if request.client is not None:
            reason = b"listen: only over the agent's socket (story-agent listen)"
            return respond(Answer(Code.FORBIDDEN, reason))
        body = await read_body(request, ACTION_LIMIT)
        if isinstance(body, Answer):
            return respond(body)
        return await _act(ears, body.decode(errors="replace").strip() or START)

    return [Route("/listen", listen, methods=["POST"])]


async def _act(ears: Ears, action: str) -> Response:
    from agent.voice.session import ListeningError  # noqa: PLC0415  # not before the first use

    if action == CANCEL:
        return JSONResponse({"cancelled": await ears.cancel()})
    if action == RELEASE:
        return JSONResponse({"released": ears.release()})
    if action not in {START, HOLD}:
        reason = f"listen: got {show(action)}, expected {START}, {HOLD}, {RELEASE} or {CANCEL}"
        return respond(Answer.from_text(Code.BAD_REQUEST, reason))
    try:
        ended = await ears.listen(held=action == HOLD, why=Why.COMMAND)
        return JSONResponse(ended.to_json())
    except ListeningError as error:
        return respond(Answer.from_text(Code.CONFLICT, str(error)))
