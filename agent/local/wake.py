"""``POST /wake``: lends the microphone to ``story-agent wake enrol``, or reads the words again; on the socket only."""

from __future__ import annotations

from agent.local.http import read_body, respond
from agent.local.web import JSONResponse, Request, Response, Route
from agent.voice.ears import Ears
from wire.codes import Code
from wire.errors import show
from wire.exchange import Answer

# Bytes of an action's name.
ACTION_LIMIT = 64
PAUSE, AGAIN = "pause", "again"


def wake_routes(ears: Ears) -> list[Route]:
    """Return the route; its answer is an object: whether a wake word is listened for at all (``on``)."""

    async def wake(request: Request) -> Response:
        if request.client is not None:
            reason = b"wake: only over the agent's socket (story-agent wake)"
            return respond(Answer(Code.FORBIDDEN, reason))
        body = await read_body(request, ACTION_LIMIT)
        if isinstance(body, Answer):
            return respond(body)
        return await _act(ears, body.decode(errors="replace").strip())

    return [Route("/wake", wake, methods=["POST"])]


async def _act(ears: Ears, action: str) -> Response:
    if action not in {PAUSE, AGAIN}:
        reason = f"wake: got {show(action)}, expected {PAUSE} or {AGAIN}"
        return respond(Answer.from_text(Code.BAD_REQUEST, reason))
    if action == PAUSE and ears.listens:
        return respond(Answer(Code.CONFLICT, b"wake: the machine listens to somebody just now"))
    if action == PAUSE and (refusal := ears.refusal()) is not None:
        return respond(Answer.from_text(Code.FORBIDDEN, f"wake: {refusal}"))
    if ears.wake is not None:
        if action == PAUSE:
            await ears.wake.pause()
        else:
            ears.wake.words_changed()
    return JSONResponse({"on": ears.wake is not None})
