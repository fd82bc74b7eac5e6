"""Cases of control: the self-description, each data point with good and wrong values, repeats, and many at once.

Nothing is written to ``switch``, which powers the machine off, and to other points only what they have now; an integer is moved by one
step and put back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from staging.advise.cases.model import Case
from staging.advise.framed import FramedPeer, frame
from staging.advise.lab import Lab, path_of
from staging.advise.message import encode, request
from staging.advise.peer import Peer
from staging.advise.record import ANSWERED, SILENT, Probe
from wire.datapoints import parse_description
from wire.errors import WireError
from wire.fields import parse_object
from wire.reports import DESCRIPTION_PATH
from wire.story_points import STORY_POINTS

# Bytes: more than any value has, and with its message less than the 2,048 that the reference client reads.
HUGE = 1500
NOT_UTF8 = b"\xff\xfe\x80"
NEVER_WRITTEN = frozenset({"switch"})
AT_ONCE = 16
ROUND_TRIPS = 40
# Requests whose answer comes later than this count as lost for the point that is read.
READ_SECONDS = 10.0
# Milliseconds by which a request comes after its deadline.
LATE_MS = 5000


async def describe(lab: Lab) -> None:
    """Read the self-description; a device without one has the document's four data points."""
    peer = await lab.peer()
    probe = await peer.ask("describe", "GET", DESCRIPTION_PATH)
    lab.known.described = False
    if probe.ok:
        with contextlib.suppress(WireError):
            found = parse_object(probe.payload, "self-description").get("resources")
            if isinstance(found, list):
                lab.known.points = [point for point in found if _is_point(point)]
                lab.known.described = True
    if not lab.known.points:
        lab.known.points = [point.to_json() for point in STORY_POINTS]
    lab.trace.seen["points"] = [str(point.get("name")) for point in lab.known.points]


def _is_point(value: object) -> bool:
    """Return whether an entry follows the document; others are not tried."""
    try:
        parse_description(value)
    except WireError:
        return False
    return True


async def sweep(lab: Lab) -> None:
    """Try each data point with each method and each kind of value."""
    for point in lab.known.points:
        peer = await lab.peer()
        name = str(point.get("name"))
        methods = point.get("method", ())
        read = await peer.ask(f"{name}: GET", "GET", path_of(point), within=READ_SECONDS)
        if "PUT" not in methods:
            value = read.payload or b"1"
            await peer.ask(f"{name}: PUT, read only", "PUT", path_of(point), value)
        elif name not in NEVER_WRITTEN:
            await _write(lab, peer, point, read)
        await peer.ask(f"{name}: DELETE", "DELETE", path_of(point))
    peer = await lab.peer()
    await peer.ask("unknown path", "GET", ("no-such-point",))
    await peer.ask("unknown path below", "PUT", ("volume", "deep", "er"), b"1")


async def _write(lab: Lab, peer: Peer, point: Mapping[str, Any], read: Probe) -> None:
    name, path = str(point.get("name")), path_of(point)
    for what, wrong in wrong_values(point).items():
        await peer.ask(f"{name}: {what}", "PUT", path, wrong)
        peer = await lab.peer()
    if not read.ok or not read.payload:
        return
    after = await peer.ask(f"{name}: GET after wrong values", "GET", path)
    value = neighbour(point, after.text)
    await peer.ask(f"{name}: good", "PUT", path, value.encode())
    await peer.ask(f"{name}: GET after good", "GET", path)
    lab.trace.seen[f"{name}: set"] = value
    if value != read.text:
        await peer.ask(f"{name}: put back", "PUT", path, read.payload)


def wrong_values(point: Mapping[str, Any]) -> dict[str, bytes]:
    """Return what a data point must refuse, by what is wrong with it."""
    wrong = {"empty": b"", "huge": b"7" * HUGE, "not UTF-8": NOT_UTF8}
    pattern = point.get("pattern") or {}
    match point.get("type"):
        case "int":
            wrong["no number"] = b"loud"
            if isinstance(low := pattern.get("min"), int):
                wrong["below"] = str(low - 1).encode()
            if isinstance(high := pattern.get("max"), int):
                wrong["above"] = str(high + 1).encode()
                wrong["far above"] = b"99999999999999999999"
            if isinstance(low, int) and isinstance(step := pattern.get("step"), int) and step > 1:
                wrong["off step"] = str(low + 1).encode()
        case "bool":
            wrong["neither true nor false"] = b"maybe"
        case _:
            wrong["control character"] = b"a\x07b"
    return wrong


def neighbour(point: Mapping[str, Any], text: str) -> str:
    """Return a value one step from ``text`` that the data point takes; of no integer, the same."""
    pattern = point.get("pattern") or {}
    if point.get("type") != "int" or not text.lstrip("-").isdigit():
        return text
    value, step = int(text), int(pattern.get("step") or 1)
    low = pattern.get("min")
    return str(value - step if isinstance(low, int) and value - step >= low else value + step)


def settable(lab: Lab) -> dict[str, Any] | None:
    """Return the data point that cases move, the volume or another integer."""
    found = [
        point for point in lab.known.points
        if point.get("type") == "int" and {"GET", "PUT"} <= set(point.get("method", ()))
    ]  # fmt: skip
    found.sort(key=lambda point: point.get("name") != "volume")
    return found[0] if found else None


async def steps(lab: Lab, peer: Peer) -> tuple[tuple[str, ...], list[str], str] | None:
    """Return a data point's path, three values that it takes, and what it has now; None: there is none.

    The values differ from each other and from what it has.
    """
    point = settable(lab)
    if point is None:
        lab.trace.skipped = "no integer that can be set"
        return None
    path, pattern = path_of(point), point.get("pattern") or {}
    now = await peer.ask("before", "GET", path)
    if not now.ok or not now.text.lstrip("-").isdigit():
        lab.trace.skipped = f"{point.get('name')} cannot be read"
        return None
    step, low = int(pattern.get("step") or 1), int(pattern.get("min") or 0)
    high = int(pattern.get("max") or low + 16 * step)
    current = int(now.text)
    near = [current + step * each for each in (-1, -2, -3, 1, 2, 3)]
    values = [str(value) for value in near if low <= value <= high][:3]
    lab.trace.seen["point"] = str(point.get("name"))
    if len(values) < 3:
        lab.trace.skipped = f"{point.get('name')} has too few values"
        return None
    return path, values, now.text


async def repeats(lab: Lab) -> None:
    """Send the same message twice, with another order between: it must be carried out once."""
    peer = await lab.framed()
    found = await steps(lab, peer)
    if found is None:
        return
    path, (first, second, _), before = found
    message = peer.numbered(request("PUT", path, first.encode()))
    await peer.exchange("first", message)
    await peer.ask("between", "PUT", path, second.encode())
    before_again = peer.acknowledged.count(message.mid)
    again = await peer.exchange("the same again", message)
    # RFC 7252, section 4.5: an answer that came separately is not repeated, its acknowledgement is.
    lab.trace.seen["acknowledged"] = (
        again.outcome == SILENT and 0 < before_again < peer.acknowledged.count(message.mid)
    )
    await peer.ask("value", "GET", path)
    lab.trace.seen["expected"] = second
    await peer.ask("put back", "PUT", path, before.encode())


async def burst(lab: Lab) -> None:
    """Send 16 requests at once, then orders one after the other without waiting."""
    peer = await lab.peer()
    found = await steps(lab, peer)
    if found is None:
        return
    path, values, before = found
    await _at_once(peer, path)
    orders = (values * AT_ONCE)[:AT_ONCE]
    if isinstance(peer, FramedPeer):
        sent = [peer.numbered(request("PUT", path, value.encode())) for value in orders]
        for message in sent:
            peer.send_bytes(frame(encode(message)))
        for number, message in enumerate(sent, 1):
            await peer.expect_sent(f"order {number}", message)
    else:
        asked = [
            peer.ask(f"order {number}", "PUT", path, value.encode())
            for number, value in enumerate(orders, 1)
        ]
        await asyncio.gather(*asked)
    await peer.ask("value", "GET", path)
    lab.trace.seen["expected"] = orders[-1]
    await peer.ask("put back", "PUT", path, before.encode())


async def _at_once(peer: Peer, path: tuple[str, ...]) -> None:
    asked = [peer.ask(f"at once {number}", "GET", path) for number in range(1, AT_ONCE + 1)]
    await asyncio.gather(*asked)


async def times(lab: Lab) -> None:
    """Read a data point again and again, and note the round trips."""
    peer = await lab.peer()
    found: list[float] = []
    for number in range(ROUND_TRIPS):
        probe = await peer.ask("round trip", "GET", lab.path)
        if probe.outcome != ANSWERED:
            peer.keep(replace(probe, name=f"round trip {number}"))
            break
        found.append(probe.seconds)
    lab.trace.seen["seconds"] = sorted(found)


async def terms(lab: Lab) -> None:
    """Send an order after its deadline, and one with an id again on another connection."""
    peer = await lab.peer()
    if "deadline" not in lab.known.reads:
        lab.trace.skipped = "the device does not say that it reads deadlines"
        return
    found = await steps(lab, peer)
    if found is None:
        return
    path, (first, second, third), before = found
    now = peer.time_ms()
    await peer.ask("late", "PUT", path, third.encode(), until_ms=now - LATE_MS, key=_key(lab))
    await peer.ask("value after late", "GET", path)
    lab.trace.seen["before"] = before
    key, until = _key(lab), now + 60_000
    await peer.ask("first", "PUT", path, first.encode(), until_ms=until, key=key)
    await peer.ask("between", "PUT", path, second.encode(), until_ms=until, key=_key(lab))
    await lab.drop()
    peer = await lab.peer()
    await peer.ask("again", "PUT", path, first.encode(), until_ms=until, key=key)
    await peer.ask("value", "GET", path)
    lab.trace.seen["expected"] = second
    await peer.ask("put back", "PUT", path, before.encode())


def _key(lab: Lab) -> bytes:
    return lab.random.randbytes(8)


CASES = (
    Case("describe", describe, "the self-description", quick=True, cuts=False, seconds=1),
    Case(
        "sweep", sweep, "each data point, each value", quick=True, limit=180, cuts=False, seconds=8
    ),
    Case(
        "repeats",
        repeats,
        "a message that is repeated",
        quick=True,
        links=("coap",),
        cuts=False,
        seconds=1,
    ),
    Case("burst", burst, "sixteen requests at once", quick=True, cuts=False, seconds=2),
    Case("times", times, "round trips", quick=True, cuts=False, seconds=2),
    Case("terms", terms, "orders that are late, and repeated", quick=True, seconds=2),
)
