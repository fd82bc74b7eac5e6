"""Cases of updates that must not happen: orders that cannot be read, and one whose package is not there.

No package is ever offered: a machine that checks no signature would install it.
"""

from __future__ import annotations

from staging.advise.bench import Serving
from staging.advise.cases.model import Case
from staging.advise.lab import Lab
from staging.advise.record import Arrival
from wire.codes import Code
from wire.fields import dump_object
from wire.ota import ORDER_PATH

# Seconds until an order whose package is not there has ended: a device may try for a while.
END_SECONDS = 45.0
# Seconds in which no second end may come.
AFTER_SECONDS = 4.0
# Event numbers that end an update (device-protocol.md, OTA order).
ENDS = frozenset({1, 2, 3, 6, 8, 9, 10, 11, 12, *range(30, 39)})
NEW, OLD = "99.0.0.0", "0.0.0.1"
MD5 = "0123456789abcdef0123456789abcdef"


def order(transaction: str, where: str, **changes: object) -> bytes:
    """Return an order's payload; a change to None leaves its member out."""
    members: dict[str, object] = {
        "transaction": transaction, "version": NEW, "old_version": OLD, "url": where, "size": 521,
        "signature": MD5,
    }  # fmt: skip
    members |= changes
    return dump_object(
        {"ota": {name: value for name, value in members.items() if value is not None}}
    )


async def orders(lab: Lab) -> None:
    """Order what cannot be read, what is older, and what is not there."""
    peer = await lab.peer()
    url = lab.bench.serve("/package", Serving(b"", status=404))
    wrong = {
        "no JSON": b"now!",
        "no object inside": b'{"ota": 7}',
        "no url": order("advise-url", url, url=None),
        "an MD5 that is none": order("advise-md5", url, signature="none"),
        "a size below zero": order("advise-size", url, size=-1),
    }
    for name, payload in wrong.items():
        await peer.ask(f"order: {name}", "PUT", ORDER_PATH, payload)
    start = len(lab.trace.arrivals)
    await peer.ask("order: older", "PUT", ORDER_PATH, order("advise-old", url, version=OLD))
    transaction = f"advise-{lab.random.randrange(10**9)}"
    lab.trace.seen["transaction"] = transaction
    mark = len(peer.taken)
    taken = await peer.ask("order", "PUT", ORDER_PATH, order(transaction, url))
    if taken.code == Code.CHANGED:
        await peer.wait_for(lambda each: _ends(each, transaction), END_SECONDS, mark)
        await lab.bench.sleep(AFTER_SECONDS)
    found = [
        each.data["ota_event"] for each in lab.trace.arrivals[start:] if "ota_event" in each.data
    ]
    lab.trace.seen["events"] = [each for each in found if isinstance(each, dict)]
    peer = await lab.peer()
    await peer.ask("afterwards", "GET", lab.path)


def _ends(arrival: Arrival, transaction: str) -> bool:
    event = arrival.data.get("ota_event")
    return (
        isinstance(event, dict)
        and event.get("transaction") == transaction
        and event.get("event") in ENDS
    )


CASES = (Case("orders", orders, "updates that must not happen", limit=120, cuts=False, seconds=12),)
