"""Who says something odd: names that forge lines of a log, values that no form sends, pages of other sites."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from tools.attack.odd import BODIES, ROUTES, odd_body, odd_path
from tools.attack.site import Attack, Outcome, Site, odd_lines
from tools.processes import Service
from transport.connection import Connection
from transport.errors import TransportError
from transport.framed import FramedEndpoint
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.reports import (
    REGISTER_PATH,
    REPORT_PATH,
    Credentials,
    registration_payload,
    report_payload,
    report_query,
)

FORGED = "2026-01-01 00:00:00,000 ERROR staging.forged: all tokens were reset"
LINES = (
    f"x\n{FORGED}",
    f"\r\n{FORGED}\r\n",
    f"\x1b[2K\x1b[1G{FORGED}",
    f"\u2028{FORGED}",
    f"\u202e{FORGED}",
)
INPUTS = 1500
PAGE, OTHER_PAGE = "https://app.example", "https://evil.example"


def forged_lines(site: Site) -> Outcome:
    """Register and report with names and values that contain lines of a log."""
    device = site.bench.story_cloud("device", "add")
    asyncio.run(_say(site, Credentials(device["uuid"], device["token"])))
    for line in LINES:
        with contextlib.suppress(httpx.HTTPError, ValueError):
            httpx.get(f"{site.bench.api}/v1/x", params={"a": line}, headers={"X-IOT-APP": "a"})
    found = [line for line in odd_lines(site.log()) if "forged" in line]
    begun = [line for line in site.log().splitlines() if line.startswith(FORGED[:12])]
    raw = [mark for mark in ("\x1b", "\u202e", "\u2028") if mark in site.log()]
    return Outcome(
        not found and not begun and not raw,
        f"{len(found) + len(begun)} forged lines, characters that a terminal obeys: {raw or 'none'}",
    )


async def _say(site: Site, real: Credentials) -> None:
    endpoint = await FramedEndpoint.create()
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", site.device_port, ssl=site.device_context(), local_addr=("127.0.3.1", 0)
    )
    connection = Connection(reader, writer)
    serving = asyncio.create_task(endpoint.serve(connection, _describe))

    async def ask(path: tuple[str, ...], payload: bytes, query: tuple[str, ...] = ()) -> None:
        with contextlib.suppress(TransportError):
            await endpoint.request(connection, "POST", path, payload, query=query, deadline=5)

    await ask(REGISTER_PATH, registration_payload(real))
    query = report_query(real)
    for line in LINES:
        await ask((line,), b"")
        for value in (
            {line: line},
            {"volume": line},
            {"os_version": line},
            {"voice": {"id": line}},
        ):
            await ask(REPORT_PATH, report_payload(value), query)
        await ask(REPORT_PATH, line.encode(), query)
        await ask(REGISTER_PATH, line.encode())
    connection.close("done")
    await asyncio.wait([serving], timeout=2)
    await endpoint.shutdown()


async def _describe(_request: Request) -> Answer:
    return Answer(Code.CONTENT, LINES[0].encode())


def odd_console(site: Site) -> Outcome:
    """Ask every route of the console for what no page asks for."""
    user, chance = site.account(), random.Random(13)  # noqa: S311  # inputs, not secrets
    broken: dict[str, int] = {}
    with contextlib.closing(site.enter(user, "127.0.3.2")) as client:
        for number in range(INPUTS):
            method, template = ROUTES[number % len(ROUTES)]
            path = odd_path(template, chance, site.bench.device["uuid"])
            body = odd_body(chance) if method != "GET" else None
            headers = {"Content-Type": "application/json"} if body is not None else {}
            with contextlib.suppress(httpx.InvalidURL, UnicodeError):
                answer = client.request(method, path, content=body, headers=headers)
                if answer.status_code in {500, 502}:
                    broken[f"{method} {template}"] = answer.status_code
    return Outcome(not broken, f"{INPUTS} odd requests; failed: {broken or 'none'}")


def odd_names(site: Site) -> Outcome:
    """Log in and sign with names, keys and values that no client has."""
    found = []
    with site.browser("127.0.3.3") as client:
        csrf = client.get("/console/api/session").json()["csrf"]
        for body in BODIES:
            answer = client.post(
                "/console/api/session", content=body,
                headers={"X-CSRF-Token": csrf, "Content-Type": "application/json"},
            )  # fmt: skip
            found.append(answer.status_code)
        for name in ("%ED%A0%80", "%00", "%FF%FE", "a" * 5000):
            form = f"user={name}&password=x&answer=allow&csrf=x"
            found.append(client.post("/v1/account/authorize", content=form).status_code)
    return Outcome(max(found) < 500, f"answers: {sorted(set(found))}")


def other_pages(site: Site) -> Outcome:
    """Call the API from a page of an app, and from one of another site."""
    app = site.bench.app
    site.bench.story_cloud("app", "origins", str(app["appId"]), "--add", PAGE)
    asked = {"Access-Control-Request-Method": "POST"}
    headers = {"X-IOT-APP": app["apikey"]}
    # Until what was read before is old (`staging.api.cors.FRESH_SECONDS`).
    mine = _until(
        lambda: httpx.options(f"{site.bench.api}/v1/device/bind", headers=asked | {"Origin": PAGE})
    )
    other = httpx.options(
        f"{site.bench.api}/v1/device/bind", headers=asked | {"Origin": OTHER_PAGE}
    )
    call = httpx.get(
        f"{site.bench.api}/v1/account/validate", headers=headers | {"Origin": OTHER_PAGE}
    )
    shown = mine.headers.get("access-control-allow-origin")
    leaked = [each for each in (other, call) if "access-control-allow-origin" in each.headers]
    return Outcome(
        shown == PAGE and not leaked and call.status_code == 403,
        f"its own page may ({mine.status_code}), another site's may not ({other.status_code}, {call.status_code})",
    )


def _until(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask until it is allowed, for a few seconds; return the last answer."""
    end = time.monotonic() + 5
    while (answer := ask()).status_code == 403 and time.monotonic() < end:
        time.sleep(0.2)
    return answer


@contextlib.contextmanager
def _secure_cloud(site: Site) -> Iterator[tuple[str, ssl.SSLContext]]:
    """Run a second cloud with TLS of its own CA; yields its address and a context that trusts it."""
    data = site.folder / "secure"
    words: list[str | Path] = [
        "serve", "--data", data, "--database", f"sqlite:///{data.absolute() / 'cloud.sqlite'}",
        "--tls", "--api-port", "0", "--device-port", "0",
    ]  # fmt: skip
    cloud = Service("story-cloud", words, site.folder / "secure.log")
    try:
        address = cloud.wait_for_line(r"ready api=(\S+) ").group(1)
        yield address, ssl.create_default_context(cafile=data / "ca" / "ca.crt")
    finally:
        cloud.stop()


def plain_http(site: Site) -> Outcome:
    """Ask a cloud with TLS by plain HTTP, and with TLS of long ago."""
    with _secure_cloud(site) as (address, context):
        good = httpx.get(f"{address}/docs", verify=context)
        plain = address.replace("https:", "http:")
        refused = httpx.post(f"{plain}/v1/device/bind", json={})
        page = httpx.get(f"{plain}/console/")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        try:
            old = str(httpx.get(f"{address}/docs", verify=context).status_code)
        except httpx.HTTPError:
            old = "refused"
    hsts = "strict-transport-security" in good.headers
    return Outcome(
        good.status_code == 200 and hsts and refused.status_code == 403
        and page.status_code == 308 and old == "refused",
        f"https {good.status_code}{' with HSTS' if hsts else ''}; plain: the API {refused.status_code}, "
        f"the console {page.status_code} to {page.headers.get('location', '-').partition(':')[0]}; TLS 1.1 {old}",
    )  # fmt: skip


ATTACKS = (
    Attack("forged log lines", "write lines of one's own into the operator's log", forged_lines),
    Attack("odd input: console", "make the console fail", odd_console),
    Attack("odd input: log-in", "make the log-in fail", odd_names),
    Attack("other sites' pages", "use a family's browser against the API", other_pages),
    Attack("plain HTTP", "read passwords on the way", plain_http),
)
