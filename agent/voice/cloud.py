"""What the cloud says to the ear beside data points: its answer to an utterance, and its wish to listen.

Only the cloud may answer. It may open the microphone only where the machine's settings allow it
(``voice.remote_listen``, docs/adr/0031), with the cue and the light that any listening has.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.voice.ears import Ears
from wire.abilities import ANSWER_PATH, LISTEN_PATH
from wire.codes import Code
from wire.errors import WireError, show
from wire.exchange import Answer, Handler, Request

_NOT_ALLOWED = "listen: this machine lets nobody far away open its microphone (voice.remote_listen)"


def cloud_routes(ears: Ears, *, remote: bool) -> Mapping[tuple[str, ...], Handler]:
    """Return the handlers by their paths; ``remote``: whether the cloud may open the microphone."""

    async def answer(request: Request) -> Answer:
        from wire.answers import parse_answer  # noqa: PLC0415  # not before the first use

        if request.method != "PUT":
            return Answer(Code.METHOD_NOT_ALLOWED, b"answer: only PUT")
        try:
            ears.note_answer(parse_answer(request.payload))
        except WireError as error:
            return Answer.from_text(Code.BAD_REQUEST, str(error))
        return Answer(Code.CHANGED)

    async def listen(request: Request) -> Answer:
        if request.method != "POST":
            return Answer(Code.METHOD_NOT_ALLOWED, b"listen: only POST")
        if not remote:
            return Answer.from_text(Code.FORBIDDEN, _NOT_ALLOWED)
        return await act(ears, request.payload.decode(errors="replace").strip())

    return {ANSWER_PATH: answer, LISTEN_PATH: listen}


async def act(ears: Ears, action: str) -> Answer:
    """Begin to listen, or end it; the answer does not wait for what is said."""
    from agent.voice.session import ListeningError  # noqa: PLC0415  # not before the first use
    from wire.answers import LISTEN_CANCEL, LISTEN_START  # noqa: PLC0415

    if action == LISTEN_CANCEL:
        return Answer(Code.CHANGED, b"cancelled" if await ears.cancel() else b"it did not listen")
    if action != LISTEN_START:
        reason = f"listen: got {show(action)}, expected {LISTEN_START} or {LISTEN_CANCEL}"
        return Answer.from_text(Code.BAD_REQUEST, reason)
    try:
        ended = await ears.start()
    except ListeningError as error:
        return Answer.from_text(Code.CONFLICT, str(error))
    if ended is None:
        return Answer(Code.CHANGED)
    reason = f": {ended.reason}" if ended.reason else ""
    return Answer.from_text(Code.FORBIDDEN, f"listen: {ended.end}{reason}")
