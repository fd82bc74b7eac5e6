"""Cases of voice: somebody speaks to the device, once more, while it must not listen, and while the link is cut."""

from __future__ import annotations

import asyncio

from staging.advise.cases.link import back
from staging.advise.cases.model import Case
from staging.advise.lab import Lab, path_of
from staging.advise.peer import Peer
from staging.advise.record import Arrival
from staging.advise.spoken import Piece, Utterance, pieces_of
from wire.abilities import ANSWER, ANSWER_PATH
from wire.answers import Result, UtteranceAnswer

# Seconds in which a device that nobody speaks to must send no voice.
BEFORE_SECONDS = 2.0
# Seconds for the first segment and, after each, for the next one.
FIRST_SECONDS, NEXT_SECONDS = 15.0, 6.0
# How often somebody speaks who is not heard: a tester may be late, a microphone may take its time.
TRIES = 2
# Seconds after the last segment in which none may follow.
AFTER_SECONDS = 1.0
# Seconds without a segment of a device that must not listen, after somebody spoke.
MUTED_SECONDS = 3.0
# Segments after which the link is cut, and seconds in which the rest might come on the next one.
CUT_SEGMENTS, LATE_SECONDS = 2, 4.0
MICROPHONE = "microphone"
# As what a case notes that the device cannot be muted.
NO_SWITCH = "no switch"


def _is_voice(arrival: Arrival) -> bool:
    return arrival.kind == "voice"


def _pieces(arrivals: list[Arrival]) -> list[Piece]:
    return [piece for each in arrivals for piece in pieces_of(each)]


async def listen(
    lab: Lab, peer: Peer, speaking: asyncio.Task[bool], *, count: int = 0
) -> Utterance:
    """Gather what comes while somebody speaks: until its end, or ``count`` segments; 0: all of it."""
    start = mark = len(peer.taken)
    made = Utterance(lab.bench.now())
    within = FIRST_SECONDS
    while not _over(made, count) and await _next(peer, speaking, mark, within):
        mark, within = len(peer.taken), NEXT_SECONDS
        made.pieces = _pieces(peer.taken[start:mark])
    made.spoken = bool(made.pieces) or await speaking
    made.asked += lab.bench.lead
    if not count:
        await lab.bench.sleep(AFTER_SECONDS)
        made.pieces = _pieces(peer.taken[start:])
        await speaking
    return made


async def spoken(lab: Lab, peer: Peer) -> Utterance:
    """Have somebody speak, and gather all of it, also what came before; once more where nothing is heard."""
    start = len(peer.taken)
    await lab.bench.sleep(BEFORE_SECONDS)
    before = _pieces(peer.taken[start:])
    for _ in range(TRIES):
        speaking = asyncio.create_task(lab.bench.speak())
        try:
            made = await listen(lab, peer, speaking)
        finally:
            speaking.cancel()
        if made.pieces or not made.spoken:
            break
    made.before = before
    lab.heard = lab.heard or bool(made.pieces)
    return made


def _over(made: Utterance, count: int) -> bool:
    last = made.pieces[-1].value if made.pieces else None
    ended = isinstance(last, dict) and last.get("eof") == 1
    return ended or 0 < count <= len(made.pieces)


async def _next(peer: Peer, speaking: asyncio.Task[bool], mark: int, within: float) -> bool:
    """Wait for one more segment; false: none came, or nobody can speak."""
    waiting = asyncio.create_task(peer.wait_for(_is_voice, within, mark))
    await asyncio.wait({waiting, speaking}, return_when=asyncio.FIRST_COMPLETED)
    if speaking.done() and not speaking.result():
        waiting.cancel()
        return False
    return await waiting is not None


async def _answer(lab: Lab, peer: Peer, made: Utterance) -> None:
    """Tell a device that reads it that its utterance is done, so that it does not wait."""
    value = made.pieces[-1].value if made.pieces else None
    if ANSWER in lab.known.reads and isinstance(value, dict) and isinstance(value.get("id"), int):
        payload = UtteranceAnswer(value["id"], Result.DONE).to_payload()
        await peer.ask("answer", "PUT", ANSWER_PATH, payload)


async def speak(lab: Lab) -> None:
    """Have somebody speak twice."""
    peer = await lab.peer()
    for name in ("first", "second"):
        made = lab.trace.seen[name] = await spoken(lab, peer)
        await _answer(lab, peer, made)
        if not made.spoken:
            return


async def muted(lab: Lab) -> None:
    """Have somebody speak to a device whose microphone is off."""
    peer = await lab.peer()
    point = lab.point(MICROPHONE)
    if point is None or "PUT" not in point.get("method", ()):  # type: ignore[operator]  # what a device describes
        lab.trace.seen[NO_SWITCH] = True
        return
    path = path_of(point)
    off = await peer.ask("off", "PUT", path, b"false")
    if not off.ok:
        lab.trace.seen[NO_SWITCH] = True
        return
    try:
        start = len(peer.taken)
        made = Utterance(lab.bench.now(), spoken=await lab.bench.speak())
        if made.spoken:
            await lab.bench.sleep(MUTED_SECONDS)
        made.pieces = _pieces(peer.taken[start:])
        lab.trace.seen["muted"] = made
    finally:
        await peer.ask("on", "PUT", path, b"true")
    if made.spoken and not lab.heard:  # that a machine is silent which hears nobody proves nothing
        await _answer(lab, peer, await spoken(lab, peer))
    lab.trace.seen["heard"] = lab.heard


async def cut(lab: Lab) -> None:
    """Cut the link while somebody speaks; afterwards he speaks once more."""
    peer = await lab.peer()
    for _ in range(TRIES):
        speaking = asyncio.create_task(lab.bench.speak())
        try:
            made = lab.trace.seen["cut"] = await listen(lab, peer, speaking, count=CUT_SEGMENTS)
            if made.pieces:
                peer.line.reset()
                following = await back(lab, "back")
            await speaking
        finally:
            speaking.cancel()
        if made.pieces or not made.spoken:
            break
    if not made.pieces:
        return
    lab.trace.seen["late"] = []
    if following is None:
        return
    await lab.bench.sleep(LATE_SECONDS)
    lab.trace.seen["late"] = _pieces(following.taken)
    again = lab.trace.seen["again"] = await spoken(lab, following)
    await _answer(lab, following, again)


CASES = (
    Case("speak", speak, "somebody who speaks", limit=120, cuts=False, fills=True, seconds=16),
    Case("muted", muted, "somebody who speaks to a muted machine", limit=60, cuts=False, fills=True, seconds=8),
)  # fmt: skip
# Where a device has been cut off already, and is left alone afterwards.
LAST = (Case("cut speech", cut, "a link that is cut while somebody speaks", limit=180, seconds=16),)
