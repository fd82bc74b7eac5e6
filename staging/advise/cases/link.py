"""Cases of the link: registering, cuts, silences, slow ways, and a cloud that restarts."""

from __future__ import annotations

from staging.advise.bench import AbsentError, Manner
from staging.advise.cases.model import Case
from staging.advise.lab import RETURN_SECONDS, Lab
from staging.advise.peer import Peer
from staging.advise.record import Arrival
from wire.codes import Code
from wire.exchange import Answer

# Seconds for which a registration is not answered, to see what comes before the answer.
HOLD_SECONDS = 1.0
# Seconds in which a registered device may say what it has to say.
SETTLE_SECONDS = 3.0
# Seconds of a quiet link: two intervals of the document's 55 s and some.
QUIET_SECONDS = 112.0
# Seconds in which a half-open link must be noticed; the bound beyond which nobody waits.
HALF_OPEN_SECONDS = 190.0
# How often the cloud restarts.
RESTARTS = 5
# Bytes a second of a bad mobile network, and seconds that a byte is on its way.
SLOW_PACE, LATE_SECONDS = 8000, 1.0
# Seconds for a registration over such a way.
SLOW_SECONDS = 45.0
# Seconds until a device must have given up a registration that nobody answers.
UNANSWERED_SECONDS = 70.0


async def register(lab: Lab) -> None:
    """Let the device connect anew, and leave its registration unanswered for a second."""

    def hold(arrival: Arrival) -> Answer | None:
        return None if arrival.kind == "register" else peer.as_a_cloud(arrival)

    await lab.drop()
    peer = await lab.fresh(policy=hold)
    first = await peer.wait_for(lambda _arrival: True, RETURN_SECONDS)
    await lab.bench.sleep(HOLD_SECONDS)
    lab.trace.seen["before"] = len(peer.taken)
    lab.trace.seen["others"] = lab.bench.waiting
    peer.policy = peer.as_a_cloud
    if first is not None and first.kind == "register" and peer.held:
        accept(peer, first)
    lab.trace.seen["answered"] = lab.bench.now()
    await lab.bench.sleep(SETTLE_SECONDS)
    lab.trace.seen["waiting"] = lab.bench.waiting


def accept(peer: Peer, arrival: Arrival) -> None:
    """Answer a registration that was held."""
    answer = peer.as_a_cloud(arrival)
    if answer is not None:
        peer.held.pop(0)(answer)
        peer.registered.set()


async def cuts(lab: Lab) -> None:
    """End the connection in order, without a word, and in the middle of an answer."""
    for name in ("closed", "reset", "torn"):
        peer = await lab.peer()
        if name == "closed":
            peer.line.close()
        elif name == "reset":
            peer.line.reset()
        else:
            peer.line.write(peer.torn)
            peer.line.reset()
        await back(lab, name)


async def back(lab: Lab, name: str, within: float = RETURN_SECONDS) -> Peer | None:
    """Note under ``name`` after how many seconds the device is registered again, None if it is not."""
    since = lab.bench.now()
    lab.trace.seen[name] = None
    try:
        await lab.fresh(within=within, quiet=True)
        peer = await lab.peer(within=max(1.0, since + within - lab.bench.now()))
    except AbsentError:
        return None
    lab.trace.seen[name] = lab.bench.now() - since
    return peer


async def restarts(lab: Lab) -> None:
    """End the connection soon after each registration, as a cloud that restarts again and again."""
    gaps: list[float] = []
    lab.trace.seen["gaps"] = gaps
    await lab.peer()
    for _ in range(RESTARTS):
        await lab.drop()
        since = lab.bench.now()
        peer = await lab.fresh()
        gaps.append(peer.line.seen.opened - since)
        await peer.wait_registered(RETURN_SECONDS)
    await lab.peer()


async def unavailable(lab: Lab) -> None:
    """Refuse registrations for the time being, three times, and note the waits."""

    def busy(arrival: Arrival) -> Answer | None:
        if arrival.kind == "register":
            return Answer(Code.SERVICE_UNAVAILABLE, b"later")
        return Answer(Code.UNAUTHORIZED)

    gaps: list[float] = []
    lab.trace.seen["gaps"] = gaps
    await lab.drop()
    peer = await lab.fresh(policy=busy)
    for _ in range(3):
        tried = await peer.wait_for(lambda each: each.kind == "register", 5.0)
        since = lab.bench.now() if tried is None else tried.at
        again = await _again(lab, peer, since, busy)
        gaps.append(again[1])
        peer = again[0]
    peer.policy = peer.as_a_cloud
    lab.trace.seen["reports"] = len([each for each in lab.trace.arrivals if each.kind == "report"])
    await lab.drop()
    lab.trace.seen["back"] = await back(lab, "after") is not None


async def _again(lab: Lab, peer: Peer, since: float, policy: object) -> tuple[Peer, float]:
    """Return the connection of the next try, and after how many seconds it came."""
    start = len(peer.taken)
    found = await peer.wait_for(lambda each: each.kind == "register", 2.0)
    if found is not None and len(peer.taken) > start:
        return peer, found.at - since
    following = await lab.fresh(policy=policy)  # type: ignore[arg-type]  # a Policy
    return following, following.line.seen.opened - since


async def unanswered(lab: Lab) -> None:
    """Never answer a registration; the device must give it up and try again."""
    await lab.drop()
    peer = await lab.fresh(policy=lambda _arrival: None)
    since = lab.bench.now()
    ended = await peer.wait_ended(UNANSWERED_SECONDS)
    lab.trace.seen["gave up"] = lab.bench.now() - since if ended else None
    lab.trace.seen["tries"] = len(lab.trace.of("register"))
    peer.policy = peer.as_a_cloud
    await back(lab, "back")


async def quiet(lab: Lab) -> None:
    """Leave a registered device alone for two minutes."""
    peer = await lab.peer()
    lab.trace.seen["from"] = lab.bench.now()
    await peer.wait_ended(QUIET_SECONDS)
    lab.trace.seen["until"] = lab.bench.now()
    lab.trace.seen["lost"] = peer.ended.is_set()


async def half_open(lab: Lab) -> None:
    """Let nothing through any more and tell nobody, as a router that lost its table."""
    peer = await lab.peer()
    peer.line.hold()
    await back(lab, "back", HALF_OPEN_SECONDS)


async def slow(lab: Lab) -> None:
    """Carry everything at 8 kB/s."""
    await _over(lab, Manner(pace=SLOW_PACE))


async def late(lab: Lab) -> None:
    """Let each byte be a second on its way, in both directions."""
    await _over(lab, Manner(delay=LATE_SECONDS))


async def _over(lab: Lab, manner: Manner) -> None:
    await lab.drop()
    peer = await lab.fresh(manner)
    lab.trace.seen["registered"] = await peer.wait_registered(SLOW_SECONDS)
    if lab.trace.seen["registered"]:
        await peer.ask("read", "GET", lab.path, within=SLOW_SECONDS)
        await lab.bench.sleep(SETTLE_SECONDS)
        lab.trace.seen["held"] = not peer.ended.is_set()
    await lab.drop()
    await back(lab, "back")


async def refused(lab: Lab) -> None:
    """Refuse the registration for good (4.01)."""

    def refuse(_arrival: Arrival) -> Answer | None:
        return Answer(Code.UNAUTHORIZED, b"unknown device or wrong token")

    await lab.drop()
    peer = await lab.fresh(policy=refuse)
    first = await peer.wait_for(lambda each: each.kind == "register", 20.0)
    since = lab.bench.now() if first is None else first.at
    ended = await peer.wait_ended(5.0)
    lab.trace.seen["ended"] = ended
    lab.trace.seen["tries"] = len(lab.trace.of("register"))
    lab.trace.seen["talked"] = [each.kind for each in lab.trace.arrivals if each.kind != "register"]
    peer.policy = peer.as_a_cloud
    await back(lab, "back")
    following = lab.trace.lines[peer.number + 1 :]
    lab.trace.seen["gap"] = following[0].opened - since if following else None


CASES = (
    Case("register", register, "registration", quick=True, seconds=5),
    Case("cuts", cuts, "connections that are cut", limit=300, seconds=4),
    # Two minutes in which a device forgets how often it was cut off.
    Case("quiet", quiet, "two quiet minutes", limit=220, cuts=False, seconds=125),
    Case("restarts", restarts, "a cloud that restarts five times", limit=330.0, seconds=14),
    Case("unavailable", unavailable, "a cloud that takes no registration", limit=200, seconds=6),
    Case("unanswered", unanswered, "a registration without an answer", limit=170, seconds=17),
    Case("half-open", half_open, "a link that carries nothing", limit=280, cuts=False, seconds=35),
    Case("slow", slow, "8 kB/s", seconds=6),
    Case("late", late, "two seconds there and back", seconds=20),
)
LAST = (Case("refused", refused, "a registration that is refused for good", seconds=10),)
