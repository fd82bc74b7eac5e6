"""Feeds the cloud's doors with odd input: the open API, the console, and what devices send to the gateway.

Everything runs in one process, on a store in a folder of its own. An answer of 4xx or 2xx is right whatever was asked;
a 500, an exception, or silence is a bug.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

from fastapi.routing import APIRoute

from staging.api.app import ROUTERS, create_app
from staging.api.envelope import PREFIX
from staging.console.app import create_console
from staging.data_dir import DataDir
from staging.gateway.gateway import Gateway
from staging.identity import passwords
from staging.identity.rights import Role
from staging.identity.signature import new_nonce, sign
from staging.services import Services
from staging.store import Database, accounts, apps, devices
from staging.store.apps import AppType
from staging.store.nonces import Nonces
from staging.times import now_ms
from tools.attack.odd import ODD_TEXTS, ODD_VALUES, ROUTES, odd_body, odd_path
from tools.mutations import mutate
from transport.errors import NotSentError
from wire.exchange import Answer, Request
from wire.reports import (
    REGISTER_PATH,
    REPORT_PATH,
    Credentials,
    registration_payload,
    report_payload,
    report_query,
)

USER, PASSWORD = "tester", "a long enough password"  # of a store that lives for a minute
# Memory, where there is one: each change is a commit.
MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of our own in it
# Seconds for one answer; a command to a device that is not there is refused at once.
DEADLINE = 30.0
API_ROUTES = tuple(
    (method, f"{PREFIX}{route.path}")
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
)
API_MEMBERS = (
    "deviceUuid", "token", "method", "name", "content", "deviceUuids", "propertyKey", "propertyType", "startTime",
    "endTime", "limit", "nextPage", "packageId", "strategyId", "start", "client_id", "response_type", "redirect_uri",
    "scope", "state",
)  # fmt: skip
REPORT_KEYS = (
    "alive", "volume", "power", "player", "voice", "event", "os_version", "osVersion", "bindToken", "abilities", "sbom",
    "epoch", "number", "reports", "\x00", "x" * 300, "",
)  # fmt: skip

Ask = Callable[[random.Random], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Peer:
    """A device's connection without a device."""

    def close(self, reason: str) -> None:
        """Do nothing."""

    def reset(self, reason: str) -> None:
        """Do nothing."""


class Nobody:
    """Sends nothing to anybody."""

    async def request(self, *_given: Any, **_named: Any) -> Answer:
        """Refuse, as a connection that has just ended does."""
        raise NotSentError("there is no device")

    def watch(self, _connection: Any, /) -> None:
        """Do nothing."""


class Stage:
    """A cloud in this process, with a device, its owner, and an app."""

    def __init__(self, folder: Path) -> None:
        """Make it in ``folder``, which is empty."""
        data = DataDir(folder).create()
        self.database = Database(folder / "cloud.sqlite")
        self.gateway = Gateway(self.database, api_url=lambda: "http://127.0.0.1:1")
        self._nonces = Nonces(self.database, now_ms)
        services = Services(self.database, self.gateway, self._nonces, now_ms)
        self.api = create_app(services, data.tuf)
        self.console = create_console(services, data)
        call = self.database.call
        account = call(
            accounts.add, USER, passwords.hash_password(PASSWORD), now_ms(), Role.OPERATOR
        )
        self.app = call(apps.add_app, "app", AppType.WEB, None, now_ms())
        self.token, _ = call(apps.issue_token, self.app.id, USER, now_ms())
        self.device = call(devices.add, None, now_ms())
        call(devices.bind, self.device.uuid, self.device.bind_token or "", account.id, now_ms())
        self.peer = Peer()
        self.gateway.join(self.peer, Nobody())
        self.cookie = self.csrf = ""

    async def enter(self) -> None:
        """Log in at the console, and let the device register."""
        seen = await http(self.console, "GET", "/api/session")
        visitor = seen.headers["set-cookie"].partition(";")[0]
        headers = {
            "cookie": visitor, "x-csrf-token": json.loads(seen.body)["csrf"],
            "content-type": "application/json",
        }  # fmt: skip
        body = json.dumps({"user": USER, "password": PASSWORD}).encode()
        done = await http(self.console, "POST", "/api/session", headers, body)
        self.csrf = json.loads(done.body)["csrf"]
        self.cookie = done.headers["set-cookie"].partition(";")[0]
        told = Credentials(self.device.uuid, self.device.token)
        await self.gateway.serve(
            self.peer, Request("POST", REGISTER_PATH, (), registration_payload(told))
        )

    # What is asked.

    async def ask_api(self, chance: random.Random) -> str:
        """Send an odd request to the open API, signed as its app does."""
        method, path = chance.choice(API_ROUTES)
        nonce, key = new_nonce(), self.app.apikey
        headers = {
            "x-iot-app": key, "x-iot-signature": sign(nonce, key, self.app.secret, self.token),
            "x-iot-token": self.token, "content-type": "application/json",
        }  # fmt: skip
        if chance.random() < 0.1:
            headers[chance.choice(list(headers))] = _latin(chance.choice(ODD_TEXTS))
        members = chance.sample(API_MEMBERS, chance.randrange(8))
        values = {name: self._value(name, chance) for name in members}
        query = urlencode({name: _utf8(value) for name, value in values.items()})
        body = _mutated(json.dumps(values).encode(), chance) if method != "GET" else b""
        return await _judge(http(self.api, method, path, headers, body, query))

    async def ask_console(self, chance: random.Random) -> str:
        """Send an odd request to the console, logged in."""
        method, template = chance.choice(ROUTES)
        # It would take a tenth of a second for each password.
        if (method, template) == ("POST", "/api/session"):
            method = "GET"
        path = odd_path(template, chance, self.device.uuid).removeprefix("/console")
        path, _, query = path.partition("?")
        headers = {
            "cookie": self.cookie, "x-csrf-token": self.csrf, "content-type": "application/json",
        }  # fmt: skip
        if chance.random() < 0.1:
            names = ["origin", "host", "last-event-id", "range", "cookie", "content-type"]
            headers[chance.choice(names)] = _latin(
                chance.choice([*ODD_TEXTS, "http://[", "bytes=0-"])
            )
        body = _mutated(odd_body(chance), chance) if method != "GET" else b""
        return await _judge(http(self.console, method, path, headers, body, query))

    async def ask_gateway(self, chance: random.Random) -> str:
        """Send what no device sends."""
        told = Credentials(self.device.uuid, self.device.token)
        if chance.random() < 0.2:
            payload = _mutated(registration_payload(told), chance)
            # On a connection of its own: a wrong one counts against its connection.
            await self.gateway.serve(Peer(), Request("POST", REGISTER_PATH, (), payload))
            return ""
        keys = chance.sample(REPORT_KEYS, chance.randrange(1, 4))
        data = {key: chance.choice(ODD_VALUES) for key in keys}
        try:
            payload = report_payload(data)
        except (ValueError, UnicodeError):
            payload = json.dumps(data).encode()
        path = REPORT_PATH if chance.random() < 0.9 else (chance.choice(ODD_TEXTS),)
        request = Request("POST", path, report_query(told), _mutated(payload, chance))
        answer = await self.gateway.serve(self.peer, request)
        return "" if 2 <= answer.code >> 5 <= 4 else f"{answer.code:#x} {answer.text}"

    def _value(self, name: str, chance: random.Random) -> Any:
        if chance.random() < 0.4:
            good = {
                "deviceUuid": self.device.uuid, "token": self.device.bind_token, "method": "GET", "name": "volume",
                "deviceUuids": [self.device.uuid], "limit": 5, "client_id": self.app.id, "response_type": "token",
                "redirect_uri": self.app.redirect_uris[0],
            }  # fmt: skip
            return good.get(name, "1")
        return chance.choice(ODD_VALUES)


async def http(
    app: Any,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    query: str = "",
) -> Answered:
    """Ask an ASGI application, as uvicorn does."""
    told: list[Any] = []
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    fields = [
        (name.encode(), value.encode("latin-1"))
        for name, value in {"host": "cloud", **(headers or {})}.items()
    ]
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": method, "scheme": "http", "path": unquote(path), "raw_path": path.encode("ascii", "replace"),
        "query_string": query.encode("ascii", "replace"), "root_path": "", "headers": fields,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1),
    }  # fmt: skip
    async with asyncio.timeout(DEADLINE):
        await app(scope, receive, send)
    start = told[0]
    shown = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answered(start["status"], shown, b"".join(each.get("body", b"") for each in told[1:]))


async def _judge(asked: Awaitable[Answered]) -> str:
    answer = await asked
    # 503: no device is there, and the update repository has no tool running.
    if answer.status < 500 or answer.status == 503:
        return ""
    return f"{answer.status} {answer.body[:200]!r}"


def _mutated(data: bytes, chance: random.Random) -> bytes:
    """Return the same, or in one of four cases something broken."""
    return mutate(data, chance) if chance.random() < 0.25 else data


def _latin(text: str) -> str:
    return (
        text.encode("utf-8", "surrogatepass").decode("latin-1").replace("\r", "").replace("\n", "")
    )


def _utf8(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return (
        quote(text.encode("utf-8", "surrogatepass")).replace("%", "")[:600]
        if "\ud800" in text
        else text[:600]
    )


@asynccontextmanager
async def _stage() -> Any:
    base = str(MEMORY) if MEMORY.is_dir() else None  # noqa: ASYNC240  # nothing else runs yet
    folder = Path(tempfile.mkdtemp(prefix="story-fuzz-", dir=base))
    stage = Stage(folder)
    try:
        await stage.enter()
        yield stage
    finally:
        await stage.gateway.stop()
        stage.database.close()
        shutil.rmtree(folder, ignore_errors=True)


async def fuzz_cloud(inputs: int, seed: int, tell: Callable[[str], None]) -> int:
    """Ask so much, shared out over the three doors; return the number of bugs."""
    chance, bugs = random.Random(seed), 0  # noqa: S311  # inputs, not secrets
    logging.getLogger().setLevel(logging.CRITICAL)
    async with _stage() as stage:
        doors: list[tuple[str, Ask]] = [
            ("open API", stage.ask_api), ("console", stage.ask_console), ("gateway", stage.ask_gateway),
        ]  # fmt: skip
        for name, ask in doors:
            found = 0
            for _ in range(inputs // len(doors) + 1):
                fault = await _fault(ask, chance)
                if fault:
                    found += 1
                    if found <= 3:
                        tell(f"{name}: {fault}")
            tell(f"{name}: {inputs // len(doors) + 1:,} inputs, {found} failed")
            bugs += found
    return bugs


async def _fault(ask: Ask, chance: random.Random) -> str:
    try:
        return await ask(chance)
    except Exception as error:  # noqa: BLE001  # what this program looks for
        return f"{type(error).__name__}: {error}"
