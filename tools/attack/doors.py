"""Who holds places: connections that say nothing, requests without an end, streams of one account."""

from __future__ import annotations

import socket
import time

import httpx

from agent.local import SOCKET_NAME
from tools.attack.site import MEGABYTE, Attack, Outcome, Site, open_silent, resident

SILENT_DEVICES, IDLE_HTTP, STREAMS, SILENT_LOCAL = 6400, 1005, 264, 2000
MEMORY_LIMIT = 64 * MEGABYTE
# Lines of the log, and seconds for an answer, during a flood.
LINES_LIMIT, ANSWER_SECONDS = 100, 1.0
# On a machine that is busy otherwise: so many times as long as before the flood.
SLOWER = 3.0
# Seconds that a connection without a request may last, and the cloud's look each second.
HEAD_SECONDS = 12.0


def silent_devices(site: Site) -> Outcome:
    """Open 6,400 connections to the port for devices and send nothing."""
    before, lines = resident(site.cloud.process.pid), len(site.log().splitlines())
    usual = _answer_seconds(site)
    opened = open_silent(SILENT_DEVICES, ("127.0.0.1", site.device_port))
    try:
        more = resident(site.cloud.process.pid) - before
        took = _answer_seconds(site)
        online = site.bench.agent_status().get("link", {}).get("state") == "online"
        logged = len(site.log().splitlines()) - lines
    finally:
        for sock in opened:
            sock.close()
    return Outcome(
        more < MEMORY_LIMIT and _is_quick(took, usual) and online
        and logged < LINES_LIMIT,
        f"{more / MEGABYTE:.0f} MB more, {logged} lines of log, the API answered in {took:.2f} s ({usual:.2f} before), "
        f"the story machine is {'online' if online else 'OFFLINE'}",
    )  # fmt: skip


def half_hellos(site: Site) -> Outcome:
    """Open 2,000 connections to the port for devices, and begin TLS on each without going on."""
    before, usual = resident(site.cloud.process.pid), _answer_seconds(site)
    opened = open_silent(2000, ("127.0.0.1", site.device_port))
    try:
        for sock in opened:
            try:
                sock.send(b"\x16\x03\x01\x02\x00\x01")
            except OSError:
                continue
        time.sleep(1)
        more = resident(site.cloud.process.pid) - before
        took = _answer_seconds(site)
    finally:
        for sock in opened:
            sock.close()
    return Outcome(
        more < MEMORY_LIMIT and _is_quick(took, usual),
        f"{more / MEGABYTE:.0f} MB more, the API answered in {took:.2f} s ({usual:.2f} before)",
    )


def idle_http(site: Site) -> Outcome:
    """Open 1,005 connections to the API and ask nothing."""
    before, usual = resident(site.api.process.pid), _answer_seconds(site)
    opened = open_silent(IDLE_HTTP, ("127.0.0.1", site.api_port))
    try:
        status, took = _status(site), _answer_seconds(site)
        more = resident(site.api.process.pid) - before
    finally:
        for sock in opened:
            sock.close()
    return Outcome(
        status == 200 and more < MEMORY_LIMIT and _is_quick(took, usual),
        f"others get {status} in {took:.2f} s ({usual:.2f} before), {more / MEGABYTE:.0f} MB more",
    )


def slow_heads(site: Site) -> Outcome:
    """Begin 1,005 requests, and send a byte of each now and then."""
    opened = open_silent(IDLE_HTTP, ("127.0.0.1", site.api_port))
    try:
        for sock in opened:
            _send(sock, b"GET /docs HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        status = _status(site)
        end = time.monotonic() + HEAD_SECONDS
        while time.monotonic() < end:
            for sock in opened:
                _send(sock, b"x")
            time.sleep(2)
        alive = sum(not _is_over(sock) for sock in opened)
    finally:
        for sock in opened:
            sock.close()
    return Outcome(
        status == 200 and alive == 0,
        f"others get {status}; after {HEAD_SECONDS:g} s {alive} of {len(opened)} are open",
    )


def endless_head(site: Site) -> Outcome:
    """Send a header of 50 MB."""
    before = resident(site.api.process.pid)
    with socket.create_connection(("127.0.0.1", site.api_port), 5) as sock:
        _send(sock, b"GET /docs HTTP/1.1\r\nHost: x\r\nX-Long: ")
        sent = 0
        for _ in range(800):
            if not _send(sock, b"x" * 65536):
                break
            sent += 65536
    more = resident(site.api.process.pid) - before
    return Outcome(
        sent < 8 * MEGABYTE and more < 8 * MEGABYTE,
        f"the connection ended after {sent / MEGABYTE:.1f} MB, {more / MEGABYTE:.0f} MB more",
    )


def streams(site: Site) -> Outcome:
    """Open 264 live pages with one account, in as many sessions as are needed."""
    user, other = site.account(), site.account()
    opened: list[httpx.Client] = []
    held = 0
    try:
        for number in range(STREAMS // 12):
            client = site.enter(user, f"127.0.2.{number + 1}")
            opened.append(client)
            for _ in range(12):
                request = client.build_request("GET", "/console/api/live")
                answer = client.send(request, stream=True)
                held += answer.status_code == 200
        last = site.enter(other, "127.0.2.200")
        opened.append(last)
        with last.stream("GET", "/console/api/live") as answer:
            status = answer.status_code
    finally:
        for client in opened:
            client.close()
    return Outcome(
        status == 200 and held < STREAMS // 2,
        f"{held} of {STREAMS} were given; another account's live page: {status}",
    )


def silent_at_home(site: Site) -> Outcome:
    """Open 2,000 connections to the agent's own socket and say nothing."""
    before, lines = resident(site.agent.process.pid), _lines(site)
    opened = open_silent(SILENT_LOCAL, str(site.bench.state / SOCKET_NAME))
    try:
        more = resident(site.agent.process.pid) - before
        began = time.monotonic()
        answered = bool(site.bench.agent_status())
        took, logged = time.monotonic() - began, _lines(site) - lines
    finally:
        for sock in opened:
            sock.close()
    return Outcome(
        answered and more < MEMORY_LIMIT and logged < LINES_LIMIT,
        f"{'it answered' if answered else 'NO ANSWER'} in {took:.2f} s, {more / MEGABYTE:.0f} MB more, "
        f"{logged} lines of log",
    )


def _lines(site: Site) -> int:
    return len(site.agent.log.read_text("utf-8", "replace").splitlines())


def _status(site: Site) -> int:
    try:
        return httpx.get(f"{site.bench.api}/console/api/session", timeout=10).status_code
    except httpx.HTTPError:
        return 0


def _is_quick(took: float, usual: float) -> bool:
    return took < max(ANSWER_SECONDS, SLOWER * usual)


def _answer_seconds(site: Site) -> float:
    """Return how long an answer takes, the middle one of three: what a flood does lasts, other programs' work comes and goes."""
    return sorted(_one_answer_seconds(site) for _ in range(3))[1]


def _one_answer_seconds(site: Site) -> float:
    began = time.monotonic()
    status = _status(site)
    return time.monotonic() - began if status == 200 else 60.0


def _send(sock: socket.socket, data: bytes) -> bool:
    try:
        sock.sendall(data)
    except OSError:
        return False
    return True


def _is_over(sock: socket.socket) -> bool:
    """Return whether the other side has answered or ended a connection: both end its request."""
    sock.settimeout(0.01)
    try:
        sock.recv(4096)
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


ATTACKS = (
    Attack(
        "silent devices",
        "fill the port for devices with connections that say nothing",
        silent_devices,
    ),
    Attack("half handshakes", "fill it with TLS that is begun and not ended", half_hellos),
    Attack("idle connections", "fill the API's port with connections that ask nothing", idle_http),
    Attack("slow requests", "fill it with requests that never end", slow_heads),
    Attack("endless header", "fill the cloud's memory with one header", endless_head),
    Attack("live pages", "use up everybody's live pages with one account", streams),
    Attack("silent at home", "keep the family's own commands from the agent", silent_at_home),
)
