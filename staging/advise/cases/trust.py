"""Cases of updates and trust: repositories that lie, a package that is right, and what all orders have come to."""

from __future__ import annotations

from staging.advise.bench import AbsentError, Serving
from staging.advise.cases.model import Case
from staging.advise.cases.ordering import (
    FORGED,
    ended,
    noted,
    place,
    ready,
    spoiled,
    tried,
    until,
)
from staging.advise.lab import Lab
from staging.advise.orders import INSTALLED, NOTHING, Lacking
from staging.advise.tuf import Lie

OTHER_PRODUCT = "another-machine"
# Seconds for an installation, its restart, and the tests that a new version makes of itself.
INSTALL_SECONDS = 150.0
# Seconds in which no second end may come.
AFTER_SECONDS = 3.0


async def lies(lab: Lab) -> None:
    """Show a repository that is forged, frozen and rolled back, one for another product, and a file that is not the signed one."""
    if not await ready(lab):
        return
    if not lab.releases.signed:
        lab.trace.seen[NOTHING] = Lacking.ROOT
        return
    noted(lab.trace)[FORGED] = next(each for each in lab.orders if each.name == FORGED)
    await tried(lab, "product", spoiled(lab, {"product": OTHER_PRODUCT}))
    parcel = spoiled(lab)
    for lie in (Lie.FROZEN, Lie.ROLLED_BACK):
        lab.releases.show(lab.bench, lie)
        await tried(lab, str(lie), parcel)
    parcel = spoiled(lab)
    other = b"?" + parcel.content[1:]
    await tried(lab, "other bytes", parcel, Serving(other))


async def install(lab: Lab) -> None:
    """Order the tester's package, wait for the version that it is, and order it once more."""
    if lab.releases.package is None:
        lab.trace.seen[NOTHING] = Lacking.GOOD
        return
    if not await ready(lab):
        return
    lab.trace.seen["before"] = lab.known.version
    parcel = lab.releases.good(lab.bench, lab.known.product)
    lab.trace.seen["wanted"] = parcel.version
    made = await place(lab, "install", parcel)
    try:
        await ended(lab, made, INSTALL_SECONDS)
        peer = await lab.peer(within=INSTALL_SECONDS)
        await until(
            lab,
            made,
            lambda: lab.known.version == parcel.version or INSTALLED not in made.ends,
            10.0,
        )
        lab.trace.seen["runs"] = lab.known.version
        await peer.ask("read", "GET", lab.path)
    except AbsentError:
        lab.trace.seen["runs"] = ""
        return
    if INSTALLED in made.ends:
        await place(lab, "once more", parcel, again=made.transaction)
        await lab.bench.sleep(AFTER_SECONDS)
        made.gather(lab.known)


async def after(lab: Lab) -> None:
    """Look at what all orders have come to, and whether the machine runs what it ran."""
    if not lab.orders:
        if not await ready(lab):
            return
        await tried(lab, "after", spoiled(lab))
    await lab.bench.sleep(AFTER_SECONDS)
    for each in lab.orders:
        each.gather(lab.known)
    lab.trace.seen["all"] = list(lab.orders)
    lab.trace.seen["runs"] = lab.known.version
    peer = await lab.peer()
    await peer.ask("read", "GET", lab.path)


FIRST = (
    Case("update lies", lies, "repositories that lie", limit=250, cuts=False, fills=True, seconds=6),
)  # fmt: skip
LAST = (
    Case("update after", after, "what all orders have come to", limit=90, cuts=False, fills=True, seconds=4),
    Case("update install", install, "an update to a package of the tester's", limit=400, cuts=False, seconds=25),
)  # fmt: skip
