"""Carries the faults of packages out: broken, cut, slow, redirected and refused downloads, and a captive portal's page.

A download says nothing of who it is for. It is taken for the device that is connected from the same address, so that
machines that share an address share their faults: on one computer all of them.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlencode

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from staging.bench.faults import Fault

REPOSITORY, PACKAGES = "/tuf/", "/tuf/targets/"
# The parameter that counts the redirects of one download.
ROUND = "bench"
_PORTAL = (
    "<!doctype html><title>Log in</title><h1>Welcome to the hotel's Wi-Fi</h1><p>Please log in.</p>"
)
_MAPPED = "::ffff:"
_RANGE = re.compile(rb"bytes ([0-9]+)-([0-9]+)/([0-9]+)")
# Pieces of a slow download in a second.
_PIECES = 10

FaultsAt = Callable[[str], Mapping[str, Fault]]
"""Returns the faults of packages for whoever is at an IP address."""


class PackageFaults:
    """ASGI: passes every request on, and spoils the downloads of devices with faults."""

    def __init__(self, app: ASGIApp, faults_at: FaultsAt) -> None:
        """Stand before ``app``."""
        self._app = app
        self._faults_at = faults_at
        self._done: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = str(scope.get("path", ""))
        faults = self._faults(scope) if path.startswith(REPOSITORY) else {}
        answer = self._instead(scope, path, faults)
        if answer is not None:
            await answer(scope, receive, send)
        elif faults and path.startswith(PACKAGES):
            await self._spoil(scope, receive, send, faults)
        else:
            await self._app(scope, receive, send)

    def _faults(self, scope: Scope) -> Mapping[str, Fault]:
        if scope["type"] != "http":
            return {}
        client = scope.get("client") or ("", 0)
        return self._faults_at(str(client[0]).removeprefix(_MAPPED))

    def _instead(self, scope: Scope, path: str, faults: Mapping[str, Fault]) -> Response | None:
        """Return what comes in place of the file, if anything does."""
        if "package_portal" in faults:
            return HTMLResponse(_PORTAL)
        if not path.startswith(PACKAGES):
            return None
        refused = faults.get("package_status")
        if refused is not None and self._again(refused):
            return Response(status_code=refused.number_of("code"), content=b"made by the bench\n")
        redirect = faults.get("package_redirect")
        if redirect is not None:
            return _next_round(scope, path, redirect.number_of("times"))
        return None

    def _again(self, fault: Fault) -> bool:
        """Return whether a fault that happens some times happens now, and count it."""
        if self._done[fault.number] >= fault.number_of("times"):
            return False
        self._done[fault.number] += 1
        return True

    async def _spoil(
        self, scope: Scope, receive: Receive, send: Send, faults: Mapping[str, Fault]
    ) -> None:
        if "package_no_range" in faults:
            headers = [each for each in scope["headers"] if each[0].lower() != b"range"]
            scope = {**scope, "headers": headers}
        cut = faults.get("package_cut")
        spoiler = _Spoiler(send, faults, is_cut=cut is not None and self._again(cut))
        await self._app(scope, receive, spoiler.send)


def _next_round(scope: Scope, path: str, rounds: int) -> Response | None:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    given = query.get(ROUND, ["0"])[0]
    done = int(given) if given.isdigit() and len(given) < 4 else 0
    if done >= rounds:
        return None
    return RedirectResponse(f"{path}?{urlencode({ROUND: done + 1})}", 302)


class _Spoiler:
    """Spoils one file on its way; it knows which bytes of the whole file an answer has."""

    def __init__(self, send: Send, faults: Mapping[str, Fault], *, is_cut: bool) -> None:
        self._send = send
        self._faults = faults
        self._is_cut = is_cut
        self._at = 0
        self._end = 0
        self._is_file = False
        self._is_over = False
        self._flips: Mapping[int, int] = {}

    async def send(self, message: Message) -> None:
        """Pass a message of the answer on, spoiled."""
        if message["type"] == "http.response.start":
            self._note(message)
            await self._send(message)
        elif message["type"] != "http.response.body" or not self._is_file:
            await self._send(message)
        elif not self._is_over:  # beyond a cut nothing is sent: the server ends such a connection
            await self._pass(message.get("body", b""), is_more=message.get("more_body", False))

    def _note(self, message: Message) -> None:
        headers = {name.lower(): value for name, value in message["headers"]}
        length = headers.get(b"content-length", b"")
        whole = int(length) if length.isdigit() else 0
        if message["status"] == 206 and (
            found := _RANGE.fullmatch(headers.get(b"content-range", b""))
        ):
            self._at, whole = int(found[1]), int(found[3])
        self._is_file = message["status"] in {200, 206} and whole > 0
        self._flips = flips(self._faults.get("package_broken"), whole)
        cut = self._faults.get("package_cut")
        self._end = whole * cut.number_of("percent") // 100 if cut and self._is_cut else whole

    async def _pass(self, body: bytes, *, is_more: bool) -> None:
        spoiled = spoil(body, self._at, self._flips)
        left = max(0, self._end - self._at)
        self._at += len(body)
        await self._pass_slowly(spoiled[:left])
        self._is_over = len(body) > left
        if not self._is_over:
            await self._send({"type": "http.response.body", "body": b"", "more_body": is_more})

    async def _pass_slowly(self, body: bytes) -> None:
        slow = self._faults.get("package_slow")
        rate = slow.number_of("bytes_per_second") if slow else 0
        size = max(1, rate // _PIECES) if rate else len(body)
        for start in range(0, len(body), max(1, size)):
            piece = body[start : start + size]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            if rate:
                await asyncio.sleep(len(piece) / rate)


def flips(fault: Fault | None, whole: int) -> dict[int, int]:
    """Return which bytes of a file of ``whole`` bytes are broken, and by which bit, from the fault's seed."""
    if fault is None or whole <= 0:
        return {}
    chosen = random.Random(fault.number_of("seed"))  # noqa: S311  # no secret
    count = min(fault.number_of("flips"), whole)
    return {at: 1 << chosen.randrange(8) for at in chosen.sample(range(whole), count)}


def spoil(body: bytes, start: int, broken: Mapping[int, int]) -> bytes:
    """Return ``body``, which begins at ``start`` of its file, with its broken bits flipped."""
    spoiled = bytearray(body)
    for at, bit in broken.items():
        if start <= at < start + len(body):
            spoiled[at - start] ^= bit
    return bytes(spoiled)
