"""Cases of TLS: certificates that must be refused, such as must be taken, versions, records, and no TLS at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from staging.advise.bench import AbsentError, Manner, Paper
from staging.advise.cases.model import Case
from staging.advise.lab import RETURN_SECONDS, Lab

# Seconds in which a device that takes a certificate has registered: 2017 modules need 2-4 s.
SPEAKS_SECONDS = 6.0
# Seconds in which a device that refused a server tries it again: ours waits up to 300 s.
FORGIVEN_SECONDS = 320.0
# What a network's log-in page answers.
PAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 32\r\n\r\n"
    b"<html>Please log in here.</html>"
)
# Certificates that must be refused, and that must be taken.
REFUSED = (
    Paper.EXPIRED, Paper.FUTURE, Paper.HOST, Paper.AUTHORITY, Paper.BESIDE, Paper.SELF_SIGNED, Paper.CLIENT,
)  # fmt: skip
TAKEN = (Paper.LONG,)
VERSIONS = ("1.2", "1.3")


async def speaks(lab: Lab, manner: Manner) -> None:
    """Note whether the device says anything to whom it is shown, and what; then end it."""
    await lab.drop()
    line = await lab.bench.accept(manner, RETURN_SECONDS)
    lab.trace.lines.append(line.seen)
    data = b""
    if line.seen.handshake:
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(SPEAKS_SECONDS):
                data = await line.read()
    lab.trace.seen["spoke"] = bool(data)
    lab.trace.seen["handshake"] = line.seen.handshake
    line.close()


async def registers(lab: Lab, manner: Manner) -> None:
    """Note whether the device registers with whom it is shown."""
    await lab.drop()
    peer = await lab.fresh(manner)
    lab.trace.seen["registered"] = await peer.wait_registered(SPEAKS_SECONDS)
    if lab.trace.seen["registered"]:
        await peer.ask("read", "GET", lab.path)
    lab.trace.seen["handshake"] = peer.line.seen.handshake
    lab.trace.seen["fault"] = peer.line.seen.fault
    await lab.drop()


async def clear(lab: Lab) -> None:
    """Answer the device's first bytes with a web page, as a captive portal does; see that it comes back."""
    await lab.drop()
    line = await lab.bench.accept(Manner(clear=PAGE), RETURN_SECONDS)
    lab.trace.lines.append(line.seen)
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(SPEAKS_SECONDS):
            while more := await line.read():
                line.seen.clear_bytes += more
    lab.trace.seen["first"] = line.seen.clear_bytes[:1]
    lab.trace.seen["told"] = tells(line.seen.clear_bytes, lab.known.token)
    line.close()
    since = lab.bench.now()
    try:
        await lab.peer()
        lab.trace.seen["back"] = lab.bench.now() - since
    except AbsentError:
        lab.trace.seen["back"] = None


def tells(data: bytes, token: str) -> bool:
    """Return whether bytes without TLS have the token, or a registration."""
    return token.encode() in data or b"reg_for_control" in data or b"deviceUUID" in data


async def resumes(lab: Lab) -> None:
    """See what the device does after all these: it must come back to the cloud that is right."""
    since = lab.bench.now()
    lab.trace.seen["back"] = None
    with contextlib.suppress(AbsentError):
        await lab.peer(within=FORGIVEN_SECONDS)
        lab.trace.seen["back"] = lab.bench.now() - since


def _shown(manner: Manner) -> Callable[[Lab], Awaitable[None]]:
    async def run(lab: Lab) -> None:
        await speaks(lab, manner)

    return run


def _taken(manner: Manner) -> Callable[[Lab], Awaitable[None]]:
    async def run(lab: Lab) -> None:
        await registers(lab, manner)

    return run


CASES = (
    *(
        Case(f"tls {version}", _taken(Manner(tls=version)), f"TLS {version} alone", seconds=2)
        for version in VERSIONS
    ),
    *(
        Case(f"tls {paper}", _taken(Manner(paper)), f"a certificate that is {paper}", seconds=2)
        for paper in TAKEN
    ),
    Case("tls clear", clear, "a web page in place of TLS", seconds=3),
    Case("tls 1.1", _shown(Manner(tls="1.1")), "TLS 1.1 alone", seconds=2),
    *(
        Case(f"tls {paper}", _shown(Manner(paper)), f"a certificate that is {paper}", seconds=8)
        for paper in REFUSED
    ),
    Case("tls afterwards", resumes, "the right certificate again", limit=330, seconds=6),
)
