"""What the cases of updates share: an order is placed, and watched until it has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from staging.advise.bench import Serving
from staging.advise.lab import Lab
from staging.advise.orders import MD5, NOTHING, OLD, Lacking, Ordered, payload_of
from staging.advise.peer import Peer
from staging.advise.record import Arrival, Trace
from staging.advise.releases import Parcel
from staging.advise.tuf import Lie
from wire.codes import Code
from wire.ota import ORDER_PATH

# Seconds until an order has ended: a device may try for a while.
END_SECONDS = 45.0
# As what a case notes its orders.
ORDERS = "orders"
# The order by which it is found out whether the machine asks for the repository's metadata; it is forged.
FORGED = "forged"
NO_CHANGES: Mapping[str, object] = {}


async def place(
    lab: Lab,
    name: str,
    parcel: Parcel,
    how: Serving | None = None,
    changes: Mapping[str, object] = NO_CHANGES,
    *,
    again: str = "",
) -> Ordered:
    """Serve a package, as ``how`` has it, and order it; ``again``: under this transaction once more."""
    peer = await lab.peer()
    how = how or Serving(parcel.content)
    url = lab.bench.serve(parcel.path, how)
    transaction = again or f"advise-{lab.random.randrange(10**9)}"
    members: dict[str, object] = {
        "version": parcel.version, "old_version": lab.known.version or OLD, "size": parcel.size,
        "signature": parcel.md5,
    }  # fmt: skip
    payload = payload_of(transaction, url, **(members | dict(changes)))
    probe = await peer.ask(f"order: {name}", "PUT", ORDER_PATH, payload)
    made = Ordered(name, transaction, probe, lab.bench.now(), parcel.size, asked=how.asked)
    noted(lab.trace)[name] = made
    if not again and made.taken:
        lab.orders.append(made)
    return made


def noted(trace: Trace) -> dict[str, Ordered]:
    """Return the orders of a case by their names."""
    found: dict[str, Ordered] = trace.seen.setdefault(ORDERS, {})
    return found


async def until(
    lab: Lab, ordered: Ordered, wanted: Callable[[], object], within: float = END_SECONDS
) -> bool:
    """Wait until what is wanted of an order is so; return whether it is. It ends with the order."""
    end = lab.bench.now() + within
    while True:
        ordered.gather(lab.known)
        if wanted():
            return True
        left = end - lab.bench.now()
        if left <= 0 or not ordered.taken:
            return False
        peer = await lab.peer(within=max(left, 1.0))
        await _news(peer, left, len(peer.taken))


async def _news(peer: Peer, within: float, start: int) -> Arrival | None:
    return await peer.wait_for(lambda _arrival: True, within, start)


async def ended(lab: Lab, ordered: Ordered, within: float = END_SECONDS) -> bool:
    """Wait until an order has ended; return whether it has."""
    return await until(lab, ordered, lambda: ordered.ends, within)


async def tried(
    lab: Lab,
    name: str,
    parcel: Parcel,
    how: Serving | None = None,
    changes: Mapping[str, object] = NO_CHANGES,
) -> Ordered:
    """Order a package and wait until that has ended."""
    made = await place(lab, name, parcel, how, changes)
    await ended(lab, made)
    return made


def spoiled(lab: Lab, custom: Mapping[str, object] = NO_CHANGES) -> Parcel:
    """Return a package that must not be installed; ``custom`` changes what is signed of it."""
    return lab.releases.spoiled(lab.bench, lab.random, lab.known.product, custom)


async def ready(lab: Lab) -> bool:
    """Return whether packages may be offered to this device; a machine must ask for the metadata that it should trust.

    What is found out by is a forged repository, and an MD5 that is not the package's: whatever the machine reads, it installs nothing.
    """
    releases = lab.releases
    if not releases.some:
        lab.trace.seen[NOTHING] = Lacking.PACKAGE
        return False
    if not releases.signed or any(each.name == FORGED for each in lab.orders):
        return _trusts(lab)
    parcel = spoiled(lab)
    releases.show(lab.bench, Lie.FORGED)
    made = await tried(lab, FORGED, parcel, changes={"signature": MD5})
    if not made.taken:
        none = made.probe.code in {Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED}
        lab.trace.seen[NOTHING] = Lacking.ORDERS if none else Lacking.REFUSED
        return False
    return _trusts(lab)


def _trusts(lab: Lab) -> bool:
    if lab.releases.signed and not lab.releases.asked:
        lab.trace.seen[NOTHING] = Lacking.READING
        return False
    return True
