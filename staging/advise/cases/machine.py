"""Cases of what goes wrong at the machine itself, by the bench's helper beside it: killed, frozen, a worn card, a full or read-only disk, a wrong clock, no sound.

Each is left out, with the reason, where no helper stands beside the machine or the helper refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from staging.advise.bench import HelplessError, Serving
from staging.advise.cases.control import steps
from staging.advise.cases.link import back
from staging.advise.cases.model import Case, Script
from staging.advise.cases.ordering import ended, place, ready, spoiled, until
from staging.advise.cases.reports import answer_as, of
from staging.advise.lab import Lab, path_of
from staging.advise.orders import DOWNLOADING
from staging.advise.peer import Peer

# Seconds for a report of a change before the machine is killed, and for it to come again.
REPORT_SECONDS, AGAIN_SECONDS = 8.0, 20.0
# Seconds from an order to the kill: a machine that spares its card may store a volume some seconds after the answer.
SETTLE_SECONDS = 7.0
# Seconds for which a machine's process stands still: shorter than its cloud's patience.
FREEZE_SECONDS = 12
# Seconds in which a process that stands still must not answer.
STILL_SECONDS = 3.0
# Bits of a file that a worn card flips.
FLIPS = 8
# Bytes a second of the download in which a machine is killed, and seconds for it to begin.
PACE, BEGIN_SECONDS = 24 * 1024, 20.0
# Seconds for which a disk is full after an order, in which a machine tries to store it, and for which a sound server is dead.
FULL_SECONDS, DEAD_SECONDS = 4.0, 2.0
# Seconds for a sound server to be there again.
SOUND_SECONDS = 10.0
# Seconds after which a lasting fault ends by itself, whatever becomes of the advisor.
LASTING_SECONDS = 120
# Milliseconds until the deadline of an order: what a tester's app would give it.
DEADLINE_MS = 60_000


def helped(script: Callable[[Lab], Coroutine[Any, Any, None]]) -> Script:
    """Leave a case out where nobody makes its fault."""

    async def run(lab: Lab) -> None:
        try:
            await script(lab)
        except HelplessError as error:
            lab.trace.skipped = str(error)

    return run


async def _begun(lab: Lab) -> tuple[Peer, tuple[str, ...], list[str], str] | None:
    """Return the device's connection, and a data point that can be moved by a step; None, and why, if there is none.

    Raises:
        HelplessError: nobody makes the fault.
    """
    lab.bench.needs_helper()
    peer = await lab.peer()
    found = await steps(lab, peer)
    return None if found is None else (peer, *found)


async def killed(lab: Lab) -> None:
    """Kill the process some seconds after it has answered an order, while its report of that has no answer."""
    found = await _begun(lab)
    if found is None:
        return
    peer, path, values, before = found
    name = str(lab.trace.seen["point"])
    peer.policy = answer_as(peer, name, None)
    start = len(peer.taken)
    await peer.ask("order", "PUT", path, values[0].encode())
    report = await peer.wait_for(of(name), REPORT_SECONDS, start)
    lab.trace.seen |= {"expected": values[0], "reported": report is not None}
    await peer.wait_ended(SETTLE_SECONDS)
    await _strike(lab, "kill")
    since = len(lab.trace.arrivals)
    if await back(lab, "back") is None:
        return
    peer = await lab.peer()
    if report is not None:
        await peer.wait_for(lambda each: str(each.data.get(name)) == values[0], AGAIN_SECONDS, 0)
    again = [each.data.get(name) for each in lab.trace.arrivals[since:] if name in each.data]
    lab.trace.seen["again"] = [str(each) for each in again]
    await peer.ask("value", "GET", path)
    await peer.ask("put back", "PUT", path, before.encode())


async def _strike(lab: Lab, fault: str, **values: int | str) -> None:
    """Have the helper make a fault, and note what it says."""
    lab.trace.seen["helper"] = await lab.bench.strike(fault, values)


async def frozen(lab: Lab) -> None:
    """Let the process stand still for some seconds."""
    lab.bench.needs_helper()
    peer = await lab.peer()
    await _strike(lab, "freeze", seconds=FREEZE_SECONDS)
    await peer.ask("while it stands still", "GET", lab.path, within=STILL_SECONDS)
    await peer.wait_ended(FREEZE_SECONDS - STILL_SECONDS)
    await lab.bench.ease("freeze")
    since = lab.bench.now()
    peer = await lab.peer()
    await peer.ask("afterwards", "GET", lab.path)
    lab.trace.seen["after"] = lab.bench.now() - since


async def worn(lab: Lab) -> None:
    """Flip bits of a file of the machine's state."""
    lab.bench.needs_helper()
    await lab.peer()
    await _strike(lab, "card", file="state", flips=FLIPS, seed=lab.random.randrange(1000))
    if await back(lab, "back") is None:
        return
    peer = await lab.peer()
    await peer.ask("afterwards", "GET", lab.path)


async def killed_update(lab: Lab) -> None:
    """Kill the process in the middle of an update's download."""
    lab.bench.needs_helper()
    if not await ready(lab):
        return
    parcel = spoiled(lab)
    made = await place(lab, "killed", parcel, Serving(parcel.content, pace=PACE))
    await until(lab, made, lambda: made.asked and DOWNLOADING in made.events, BEGIN_SECONDS)
    lab.trace.seen |= {"running": made.taken and not made.ends, "version": lab.known.version}
    await _strike(lab, "kill")
    if await back(lab, "back") is None:
        return
    await ended(lab, made)
    # A second end would come soon after the first.
    await lab.bench.sleep(STILL_SECONDS)
    made.gather(lab.known)
    lab.trace.seen["ends"] = list(made.ends)
    lab.trace.seen["afterwards"] = lab.known.version


async def full(lab: Lab) -> None:
    """Give an order while the disk is full, and another one when there is room again."""
    found = await _begun(lab)
    if found is None:
        return
    peer, path, values, before = found
    await _strike(lab, "disk_full", seconds=LASTING_SECONDS)
    try:
        await peer.ask("order", "PUT", path, values[0].encode())
        await peer.wait_ended(FULL_SECONDS)
        peer = await lab.peer()
        await peer.ask("while it is full", "GET", path)
    finally:
        await lab.bench.ease("disk_full")
    start = len(peer.taken)
    await peer.ask("with room", "PUT", path, values[1].encode())
    name = str(lab.trace.seen["point"])
    report = await peer.wait_for(
        lambda each: str(each.data.get(name)) == values[1], AGAIN_SECONDS, start
    )
    lab.trace.seen["reported"] = report is not None
    await peer.ask("put back", "PUT", path, before.encode())


async def full_start(lab: Lab) -> None:
    """Give an order while the disk is full, and let it be stored when there is room; then kill the process on a full disk."""
    found = await _begun(lab)
    if found is None:
        return
    peer, path, values, before = found
    try:
        await _strike(lab, "disk_full", seconds=LASTING_SECONDS)
        await peer.ask("order", "PUT", path, values[0].encode())
        lab.trace.seen["expected"] = values[0]
        await peer.wait_ended(FULL_SECONDS)
        await lab.bench.ease("disk_full")
        await lab.bench.sleep(SETTLE_SECONDS)
        await _strike(lab, "disk_full", seconds=LASTING_SECONDS)
        await lab.bench.strike("kill", {})
        if await back(lab, "back") is None:
            return
        peer = await lab.peer()
        await peer.ask("afterwards", "GET", path)
    finally:
        await lab.bench.ease("disk_full")
    await peer.ask("put back", "PUT", path, before.encode())


async def read_only(lab: Lab) -> None:
    """Let the machine start on a disk that can only be read, and anew when it can be written."""
    found = await _begun(lab)
    if found is None:
        return
    peer, path, values, before = found
    await _strike(lab, "disk_read_only", seconds=LASTING_SECONDS)
    try:
        if await back(lab, "back") is None:
            return
        peer = await lab.peer()
        await peer.ask("order", "PUT", path, values[0].encode())
        await peer.ask("afterwards", "GET", path)
        await peer.ask("put back", "PUT", path, before.encode())
    finally:
        await lab.bench.ease("disk_read_only")
    await lab.bench.strike("kill", {})
    await back(lab, "anew")


async def wrong_clock(lab: Lab) -> None:
    """Set the clock back by a year and kill the process: by that clock the certificate is not yet valid."""
    found = await _begun(lab)
    if found is None:
        return
    peer, path, values, before = found
    await _strike(lab, "clock_wrong", seconds=LASTING_SECONDS)
    try:
        await lab.bench.strike("kill", {})
        if await back(lab, "back") is None:
            return
        peer = await lab.peer()
        until = peer.time_ms() + DEADLINE_MS if "deadline" in lab.known.reads else None
        await peer.ask("order", "PUT", path, values[0].encode(), until_ms=until)
        await peer.ask("put back", "PUT", path, before.encode(), until_ms=until)
    finally:
        await lab.bench.ease("clock_wrong")


async def silent(lab: Lab) -> None:
    """Kill the sound server as often as it comes back, and give orders meanwhile: the volume, and to play."""
    found = await _begun(lab)
    if found is None:
        return
    peer, path, values, before = found
    play = lab.point("play")
    await _strike(lab, "sound_dead", seconds=LASTING_SECONDS)
    try:
        await peer.ask("order", "PUT", path, values[0].encode())
        if play is not None:
            title = await peer.ask("title", "GET", path_of(play))
            if title.ok and title.payload:
                await peer.ask("play", "PUT", path_of(play), title.payload)
        await peer.wait_ended(DEAD_SECONDS)
        await peer.ask("afterwards", "GET", path)
    finally:
        await lab.bench.ease("sound_dead")
    lab.trace.seen["ended"] = peer.ended.is_set()
    # Whoever watches over the server starts it again, and what comes next may need it.
    end = lab.bench.now() + SOUND_SECONDS
    while not (await peer.ask("put back", "PUT", path, before.encode())).ok:
        if lab.bench.now() > end:
            break
        await lab.bench.sleep(1.0)


# A process that starts again knows nothing of its waits: these come where a device would only be left alone to forget them.
CASES = (
    Case("killed", helped(killed), "kill -9 between an order and the report of it", limit=150, cuts=False, fills=True, seconds=15),
    Case("killed update", helped(killed_update), "kill -9 in an update", limit=200, cuts=False, fills=True, seconds=15),
    Case("frozen", helped(frozen), "a process that stands still", limit=150, cuts=False, fills=True, seconds=14),
    Case("worn", helped(worn), "bits of the card that flip", limit=150, cuts=False, fills=True, seconds=4),
    Case("full", helped(full), "a full disk", limit=120, cuts=False, fills=True, seconds=6),
    Case("full start", helped(full_start), "kill -9 while the disk is full", limit=200, cuts=False, fills=True, seconds=14),
    Case("read only", helped(read_only), "a disk that can only be read", limit=150, cuts=False, fills=True, seconds=6),
    Case("wrong clock", helped(wrong_clock), "a clock that is a year behind", limit=150, cuts=False, fills=True, seconds=3),
    Case("no sound", helped(silent), "a sound server that dies", limit=90, cuts=False, seconds=4),
)  # fmt: skip
