"""Who guesses: passwords, nonces that were used, uuids and tokens of devices."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx

from staging.identity.signature import new_nonce, sign
from tools.attack.site import PASSWORD, Attack, Outcome, Site
from transport.connection import Connection
from transport.errors import TransportError
from transport.framed import FramedEndpoint
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.reports import REGISTER_PATH, Credentials, registration_payload

PARALLEL = 80
# What the throttle lets through before the first wait.
FREE_TRIES = 5
REPLAYS = 20
SECONDS = 8.0
WRONG = "a wrong password, "
PROXY, OTHER_PROXY, NO_PROXY = "127.0.7.1", "127.0.7.2", "127.0.1.5"
# One client's address, as different proxies write it.
SPELLINGS = (
    "203.0.113.7", "203.0.113.7:4711", "::ffff:203.0.113.7", "[::ffff:203.0.113.7]:80", "::FFFF:cb00:7107",
    "0:0:0:0:0:ffff:203.0.113.7", "x,\t203.0.113.7", "[::ffff:cb00:7107]",
)  # fmt: skip
SPELLINGS_6 = (
    "2001:db8::1", "2001:DB8:0:0:0:0:0:1", "[2001:db8::1]:443", "2001:0db8:0000::0001", "[2001:db8::1]",
    "2001:db8::1%eth0",
)  # fmt: skip
HEADERS: Mapping[str, tuple[str, Callable[[int], str]]] = {
    "hosts of one IPv6 network, by two proxies": (PROXY, lambda n: f"2001:db8:1::{n:x}, fd00:7::{n + 1:x}"),
    "made-up hops before the client": (PROXY, lambda n: f"198.51.100.{n}, 203.0.113.8, {OTHER_PROXY}"),
    "what is no address": (PROXY, lambda n: ("", ",", "unknown", f"x{n}", "203.0.113", "::g", "1" * 5000, "_hidden", "10.0.0.1/8")[n % 9]),
    "what is no address before a proxy": (PROXY, lambda n: f"garbage {n}, {OTHER_PROXY}"),
    "a proxy of nobody's": (NO_PROXY, lambda n: f"203.0.113.{n}, {PROXY}"),
    "spellings of an IPv4 address": (PROXY, lambda n: SPELLINGS[n % len(SPELLINGS)]),
    "spellings of an IPv6 address": (PROXY, lambda n: SPELLINGS_6[n % len(SPELLINGS_6)]),
}  # fmt: skip
"""The peer, and what its header says at each guess."""


def brake(site: Site) -> Outcome:
    """Send 80 wrong passwords for one account at once, half of them to each page."""
    user, address = site.account(), "127.0.1.1"

    def attempt(number: int) -> int:
        with site.browser(address) as client:
            page = site.try_console if number % 2 else site.try_consent
            return page(user, f"{WRONG}{number}", client)

    with ThreadPoolExecutor(PARALLEL) as pool:
        statuses = list(pool.map(attempt, range(PARALLEL)))
    checked = statuses.count(401)
    odd = sorted(set(statuses) - {401, 429})
    return Outcome(
        checked <= FREE_TRIES and not odd,
        f"{checked} of {PARALLEL} were checked, {statuses.count(429)} refused with 429"
        + (f", other answers: {odd}" if odd else ""),
    )


def lock_out(site: Site) -> Outcome:
    """Guess from many addresses for an account until it is braked; its owner logs in from home."""
    user, home = site.account(), "127.0.1.2"
    with site.browser(home) as client:
        first = site.try_console(user, PASSWORD, client)
    refused = 0
    for number in range(20, 60):
        with site.browser(f"127.0.1.{number}") as client:
            refused += site.try_console(user, f"{WRONG}{number}", client) == 429
    with site.browser(home) as client:
        status = site.try_console(user, PASSWORD, client)
    return Outcome(
        first == status == 200 and refused > 0,
        f"{refused} of 40 guesses were not checked any more; the owner's log-in from home: {status}",
    )


def forwarded(site: Site) -> Outcome:
    """Give each guess another ``X-Forwarded-For``, without being a proxy of the operator's."""
    user, checked = site.account(), 0
    for number in range(20):
        with site.browser("127.0.1.3", **{"X-Forwarded-For": f"203.0.113.{number}"}) as client:
            checked += site.try_console(user, f"{WRONG}{number}", client) == 401
    return Outcome(checked <= FREE_TRIES, f"{checked} of 20 guesses were checked")


def proxied(site: Site) -> Outcome:
    """Write into ``X-Forwarded-For`` what a proxy passes on or adds to; each kind for an account of its own."""
    counts = {}
    for kind, (peer, header) in HEADERS.items():
        user, counts[kind] = site.account(), 0
        for number in range(20):
            with site.browser(peer, **{"X-Forwarded-For": header(number)}) as client:
                counts[kind] += site.try_console(user, f"{WRONG}{number}", client) == 401
    # Where a proxy says nothing, and for another client behind it, there is a log-in.
    with site.browser(PROXY, **{"X-Forwarded-For": "203.0.113.200"}) as client:
        status = site.try_console(site.account(), PASSWORD, client)
    told = ", ".join(f"{kind}: {count}" for kind, count in counts.items())
    return Outcome(
        all(0 < count <= FREE_TRIES for count in counts.values()) and status == 200,
        f"of 20 guesses each were checked: {told}; another client behind the proxy: {status}",
    )


def replay_change(site: Site) -> Outcome:
    """Repeat a change's headers on the cloud that was killed right after the answer, and started again."""
    device = site.bench.story_cloud("device", "add")
    owner = site.clients["parent"]
    owner.bind(device["uuid"], device["bindToken"])
    body = {"deviceUuid": device["uuid"], "name": "again"}
    return _replay(site, "PUT", "/v1/device/name/update", body)


def replay_read(site: Site) -> Outcome:
    """Repeat a read's headers on the cloud that was killed right after the answer, and started again."""
    return _replay(site, "GET", "/v1/account/validate", None)


def _replay(site: Site, method: str, path: str, body: dict[str, str] | None) -> Outcome:
    app, token, done = site.bench.app, site.bench.token, 0
    for _ in range(REPLAYS):
        nonce = new_nonce()
        headers = {
            "X-IOT-APP": app["apikey"],
            "X-IOT-Signature": sign(nonce, app["apikey"], app["secret"], token),
            "X-IOT-Token": token,
        }
        url = site.bench.api + path
        httpx.request(method, url, headers=headers, json=body, timeout=30).raise_for_status()
        site.again()
        # With several workers at the last one, which did not see it the first time.
        url = (site.urls or [site.bench.api])[-1] + path
        again = httpx.request(method, url, headers=headers, json=body, timeout=30)
        done += not (again.status_code == 401 and "nonce" in again.text)
    where = "at another worker " if len(site.urls) > 1 else ""
    return Outcome(done == 0, f"{done} of {REPLAYS} repeats were taken {where}after kill -9")


async def _register(site: Site, tries: int, seconds: float) -> list[Answer]:
    """Try uuids on one connection after another, as fast as they are answered."""
    answers: list[Answer] = []
    end, number = time.monotonic() + seconds, 0
    real = site.bench.device["uuid"]
    endpoint = await FramedEndpoint.create()
    while time.monotonic() < end and len(answers) < tries:
        with contextlib.suppress(OSError, TransportError, TimeoutError):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", site.device_port, ssl=site.device_context(),
                local_addr=("127.0.1.4", 0),
            )  # fmt: skip
            connection = Connection(reader, writer)
            serving = asyncio.create_task(endpoint.serve(connection, _nothing))
            try:
                while time.monotonic() < end:
                    number += 1
                    told = Credentials(real if number % 2 else f"{number:014x}", "0" * 32)
                    answers.append(
                        await endpoint.request(
                            connection,
                            "POST",
                            REGISTER_PATH,
                            registration_payload(told),
                            deadline=5,
                        )
                    )
            finally:
                connection.close("done")
                await asyncio.wait([serving], timeout=2)
    await endpoint.shutdown()
    return answers


async def _nothing(_request: Request) -> Answer:
    return Answer(Code.NOT_FOUND)


def which_uuids(site: Site) -> Outcome:
    """Try uuids that exist and such that do not, with a wrong token, for 8 s."""
    answers = asyncio.run(_register(site, 100_000, SECONDS))
    checked = [answer for answer in answers if answer.code == Code.UNAUTHORIZED]
    different = {(answer.code, answer.payload) for answer in checked}
    others = {f"{answer.code:#x}" for answer in answers} - {"0x81", "0xa3"}
    return Outcome(
        len(different) == 1 and not others and len(checked) < 100,
        f"{len(different)} different answers; {len(checked)} tries were looked up in {SECONDS:g} s, "
        f"{len(answers) - len(checked)} were told to wait"
        + (f"; other codes {others}" if others else ""),
    )


ATTACKS = (
    Attack("log-in brake", "have many passwords checked by asking for all at once", brake),
    Attack("lock-out", "keep a family out of its account by wrong passwords", lock_out),
    Attack("forwarded address", "seem to come from elsewhere each time", forwarded),
    Attack("behind a proxy", "seem to come from elsewhere by what a proxy passes on", proxied),
    Attack("which devices there are", "find out uuids by trying them", which_uuids),
    Attack("replay of a change", "have a change made again after a crash", replay_change),
    Attack("replay of a read", "have a request answered again after a crash", replay_read),
)
