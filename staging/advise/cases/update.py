"""Cases of updates that must not happen: orders that cannot be read, and one whose package is not there.

No package is ever offered: a machine that checks no signature would install it.
"""

from __future__ import annotations

from staging.advise.bench import Serving
from staging.advise.cases.model import Case
from staging.advise.cases.ordering import END_SECONDS
from staging.advise.lab import Lab
from staging.advise.orders import ENDS, OLD, payload_of
from staging.advise.record import Arrival
from wire.codes import Code
from wire.ota import ORDER_PATH

# Seconds in which no second end may come.
AFTER_SECONDS = 4.0


async def orders(lab: Lab) -> None:
    """Order what cannot be read, what is older, and what is not there."""
    peer = await lab.peer()
    # A machine that reads it finds no such package there.
    lab.releases.show(lab.bench)
    url = lab.bench.serve("/package", Serving(b"", status=404))
    wrong = {
        "no JSON": b"now!",
        "no object inside": b'{"ota": 7}',
        "no url": payload_of("advise-url", url, url=None),
        "an MD5 that is none": payload_of("advise-md5", url, signature="none"),
        "a size below zero": payload_of("advise-size", url, size=-1),
    }
    for name, payload in wrong.items():
        await peer.ask(f"order: {name}", "PUT", ORDER_PATH, payload)
    start = len(lab.trace.arrivals)
    await peer.ask("order: older", "PUT", ORDER_PATH, payload_of("advise-old", url, version=OLD))
    transaction = f"advise-{lab.random.randrange(10**9)}"
    lab.trace.seen["transaction"] = transaction
    mark = len(peer.taken)
    taken = await peer.ask("order", "PUT", ORDER_PATH, payload_of(transaction, url))
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
