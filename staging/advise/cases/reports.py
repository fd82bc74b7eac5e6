"""Cases of reports: what is reported after a change, when the cloud is busy, says no, or the link is cut."""

from __future__ import annotations

from collections.abc import Callable

from staging.advise.cases.control import steps
from staging.advise.cases.link import back
from staging.advise.cases.model import Case
from staging.advise.lab import Lab
from staging.advise.peer import Peer
from staging.advise.record import Arrival
from wire.codes import Code
from wire.exchange import Answer

# Seconds for a report of a change, and for its repeat.
REPORT_SECONDS = 8.0
REPEAT_SECONDS = 30.0
# Seconds in which a refused report must not come again and again.
WATCH_SECONDS = 5.0
# Looks at whether reports of before still come, and the seconds between two.
BACKLOG_LOOKS, BACKLOG_SECONDS = 10, 1.0
# Seconds of a device that has nothing to say.
IDLE_SECONDS = 8.0


def of(name: str) -> Callable[[Arrival], bool]:
    """Return what finds reports of a data point."""
    return lambda arrival: name in arrival.data


def answer_as(peer: Peer, name: str, code: int | None) -> Callable[[Arrival], Answer | None]:
    """Return a policy that answers reports of a data point with a code, or not at all, and all else as a cloud."""

    def policy(arrival: Arrival) -> Answer | None:
        if name in arrival.data:
            return None if code is None else Answer(code, b"not now")
        return peer.as_a_cloud(arrival)

    return policy


async def changed(lab: Lab) -> None:
    """Set a data point three times, and note what is reported of it; then leave the device alone."""
    peer = await lab.peer()
    await _said_all(lab, peer)
    # What it had to say of the time before is no answer to this case.
    lab.trace.arrivals.clear()
    found = await steps(lab, peer)
    if found is None:
        return
    path, values, before = found
    name = lab.trace.seen["point"]
    sets: list[str] = []
    lab.trace.seen["sets"] = sets
    for value in (*values, before):
        start = len(peer.taken)
        await peer.ask(f"PUT {value}", "PUT", path, value.encode())
        sets.append(value)
        await peer.wait_for(of(name), REPORT_SECONDS, start)
    since = lab.bench.now()
    await lab.bench.sleep(IDLE_SECONDS)
    lab.trace.seen["idle"] = [each.at - since for each in lab.trace.arrivals if each.at > since]


async def _said_all(lab: Lab, peer: Peer) -> None:
    """Wait until a device has told what waited for a connection."""
    for _ in range(BACKLOG_LOOKS):
        count = len(peer.taken)
        await lab.bench.sleep(BACKLOG_SECONDS)
        if len(peer.taken) == count:
            return


async def busy(lab: Lab) -> None:
    """Answer a report with 5.03, and then with 4.00."""
    peer = await lab.peer()
    found = await steps(lab, peer)
    if found is None:
        return
    path, (first, second, _), before = found
    name = lab.trace.seen["point"]
    for what, value, code in (
        ("busy", first, int(Code.SERVICE_UNAVAILABLE)), ("refused", second, int(Code.BAD_REQUEST)),
    ):  # fmt: skip
        peer.policy = answer_as(peer, name, code)
        start, mark = len(lab.trace.arrivals), len(peer.taken)
        await peer.ask(f"PUT {value}", "PUT", path, value.encode())
        told = await peer.wait_for(of(name), REPORT_SECONDS, mark)
        if told is not None and what == "busy":
            await peer.wait_for(of(name), REPEAT_SECONDS)
        await lab.bench.sleep(WATCH_SECONDS)
        lab.trace.seen[what] = [each for each in lab.trace.arrivals[start:] if name in each.data]
        peer.policy = peer.as_a_cloud
        if told is not None and what == "busy":
            await peer.wait_for(of(name), REPEAT_SECONDS)
        lab.trace.seen[f"{what}: ended"] = peer.ended.is_set()
        peer = await lab.peer()
    await peer.ask("put back", "PUT", path, before.encode())
    await peer.wait_for(of(name), REPORT_SECONDS)


async def cut(lab: Lab) -> None:
    """Take a report and cut the link before its answer; the device must send it again."""
    peer = await lab.peer()
    found = await steps(lab, peer)
    if found is None:
        return
    path, (value, _, _), before = found
    name = lab.trace.seen["point"]
    peer.policy = answer_as(peer, name, None)
    start = len(peer.taken)
    await peer.ask(f"PUT {value}", "PUT", path, value.encode())
    lab.trace.seen["first"] = await peer.wait_for(of(name), REPORT_SECONDS, start)
    peer.line.reset()
    lab.trace.seen["again"] = None
    following = await back(lab, "back")
    if following is not None:
        lab.trace.seen["again"] = await following.wait_for(of(name), REPEAT_SECONDS, 0)
    peer = await lab.peer()
    await peer.ask("put back", "PUT", path, before.encode())
    await peer.wait_for(of(name), REPORT_SECONDS)


async def old_clock(lab: Lab) -> None:
    """Tell a device at its registration that it is 1999; it must go on all the same."""
    await lab.drop()
    peer = await lab.fresh()
    peer.year_1999 = True
    lab.trace.seen["registered"] = await peer.wait_registered(REPORT_SECONDS)
    await peer.ask("read", "GET", lab.path)
    await lab.bench.sleep(REPORT_SECONDS / 2)
    lab.trace.seen["held"] = not peer.ended.is_set()
    await lab.drop()
    await lab.peer()


FIRST = (
    Case("changed", changed, "reports of changes", quick=True, limit=90, cuts=False, seconds=12),
)
CASES = (
    Case("busy", busy, "reports that the cloud does not take", limit=200, cuts=False, seconds=30),
    Case("cut report", cut, "reports whose answer is lost", quick=True, limit=160, seconds=4),
    Case("old clock", old_clock, "a cloud whose clock is wrong by years", seconds=6),
)
