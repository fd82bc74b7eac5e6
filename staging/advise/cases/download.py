"""Cases of updates' downloads: watched, cut, led astray, cancelled, and of orders that disagree with the package."""

from __future__ import annotations

from staging.advise.bench import Serving
from staging.advise.cases.model import Case
from staging.advise.cases.ordering import END_SECONDS, ended, place, ready, spoiled, tried, until
from staging.advise.lab import Lab
from staging.advise.orders import DOWNLOADING, MD5, Ordered
from staging.advise.releases import Parcel
from wire.ota import ORDER_PATH, cancel_query

# Seconds that a download takes which is watched, and one that is cancelled.
WATCHED_SECONDS, CANCELLED_SECONDS = 4, 16
# The part of a package, in percent, after which its download is cut.
CUT_PERCENT = 45
# How often a web page comes in the package's place.
PAGES = 2
# Seconds for the first report of a download, and in which a cancelled one must have ended.
BEGIN_SECONDS, CANCEL_SECONDS = 20.0, 15.0
# Seconds in which a cancelled download may fetch nothing more.
STILL_SECONDS = 3.0
# Bytes that a server's file has too many.
MORE = 4096


def _downloads(made: Ordered) -> bool:
    return bool(made.ends or (made.asked and DOWNLOADING in made.events))


def _pace(parcel: Parcel, seconds: int) -> int:
    """Return at how many bytes a second a package comes in so many seconds."""
    return max(1, parcel.size // seconds)


def _cut(parcel: Parcel) -> int:
    """Return after how many bytes a package's download is cut."""
    return max(1, parcel.size * CUT_PERCENT // 100)


async def download(lab: Lab) -> None:
    """Order a package that comes slowly; meanwhile read, order the same again, and order another one."""
    if not await ready(lab):
        return
    parcel = spoiled(lab)
    made = await place(
        lab, "download", parcel, Serving(parcel.content, pace=_pace(parcel, WATCHED_SECONDS))
    )
    await until(lab, made, lambda: _downloads(made), BEGIN_SECONDS)
    made.seen["running"] = made.taken and not made.ends
    peer = await lab.peer()
    await peer.ask("read meanwhile", "GET", lab.path)
    await _order_again(lab, made, parcel)
    other = spoiled(lab) if lab.releases.signed else parcel
    second = await place(lab, "second", other)
    await ended(lab, made)
    if second.taken:
        await ended(lab, second)
    made.gather(lab.known)
    peer = await lab.peer()
    await peer.ask("read afterwards", "GET", lab.path)


async def _order_again(lab: Lab, made: Ordered, parcel: Parcel) -> None:
    """Send an order again, word for word."""
    how = Serving(parcel.content, pace=_pace(parcel, WATCHED_SECONDS))
    how.asked = made.asked
    await place(lab, "again", parcel, how, again=made.transaction)


async def cut(lab: Lab) -> None:
    """Cut a download once: of a server that gives parts, and of one that does not."""
    if not await ready(lab):
        return
    for name, ranges in (("cut", True), ("no ranges", False)):
        parcel = spoiled(lab)
        how = Serving(parcel.content, cut=_cut(parcel), times=1, ranges=ranges)
        made = await tried(lab, name, parcel, how)
        made.seen["signed"] = lab.releases.signed


async def page(lab: Lab) -> None:
    """Answer with a log-in page, as a network does that wants to be paid, and then with the package."""
    if not await ready(lab):
        return
    parcel = spoiled(lab)
    how = Serving(parcel.content, page=True, times=PAGES)
    made = await place(lab, "page", parcel, how)
    await until(lab, made, lambda: made.ends or len(how.asked) >= PAGES)
    made.seen["before"] = len(made.told)
    await ended(lab, made)


async def redirect(lab: Lab) -> None:
    """Send a download to another place, and then in a circle."""
    if not await ready(lab):
        return
    parcel = spoiled(lab)
    there = Serving(parcel.content)
    away = parcel.path.replace("/", "/moved-", 1)
    lab.bench.serve(away, there)
    made = await tried(lab, "redirect", parcel, Serving(b"", status=302, to=away))
    made.seen["followed"] = bool(there.asked)
    await tried(lab, "circle", spoiled(lab), Serving(b"", status=302))


async def disagreeing(lab: Lab) -> None:
    """Order packages of which MD5, size or file are not as the order says."""
    if not await ready(lab):
        return
    await tried(lab, "MD5", spoiled(lab), changes={"signature": MD5})
    parcel = spoiled(lab)
    await tried(lab, "size", parcel, changes={"size": parcel.size + 1})
    parcel = spoiled(lab)
    await tried(lab, "too long", parcel, Serving(parcel.content + bytes(MORE)))


async def cancel(lab: Lab) -> None:
    """Cancel a download that runs."""
    if not await ready(lab):
        return
    parcel = spoiled(lab)
    how = Serving(parcel.content, pace=_pace(parcel, CANCELLED_SECONDS))
    made = await place(lab, "cancel", parcel, how)
    await until(lab, made, lambda: _downloads(made), BEGIN_SECONDS)
    made.seen["running"] = made.taken and not made.ends
    peer = await lab.peer()
    probe = await peer.ask("cancel", "DELETE", ORDER_PATH, query=cancel_query(made.transaction))
    if not probe.ok:
        await ended(lab, made)
        return
    await ended(lab, made, CANCEL_SECONDS)
    asked = len(how.asked)
    await lab.bench.sleep(STILL_SECONDS)
    made.seen["fetched on"] = len(how.asked) > asked


# Each order may take its time to end.
_LIMIT = 4 * END_SECONDS
CASES = (
    Case("update download", download, "an update's download", limit=_LIMIT, cuts=False, fills=True, seconds=8),
    Case("update cut", cut, "a download that is cut", limit=_LIMIT, cuts=False, fills=True, seconds=6),
    Case("update page", page, "a log-in page in a package's place", limit=_LIMIT, cuts=False, fills=True, seconds=5),
    Case("update redirect", redirect, "a package that is elsewhere", limit=_LIMIT, cuts=False, fills=True, seconds=3),
    Case("update disagreeing", disagreeing, "orders that disagree with the package", limit=_LIMIT, cuts=False, fills=True, seconds=4),
    Case("update cancel", cancel, "an update that is cancelled", limit=_LIMIT, cuts=False, fills=True, seconds=6),
)  # fmt: skip
