"""A cloud in this process for `tools.fuzz_cloud`: a store with a bit of everything, a device that answers oddly, an owner, an app."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy.orm import Session

from staging.api.app import create_app
from staging.bench.bench import Bench
from staging.console.app import create_console
from staging.console.call import COOKIE, Console
from staging.data_dir import DataDir
from staging.gateway.gateway import Gateway
from staging.identity import passwords
from staging.identity.rights import Role
from staging.recognition.service import Recognition
from staging.services import Services
from staging.store import Database, accounts, apps, devices, products, releases, rollouts, webhooks
from staging.store.apps import AppType
from staging.store.models import Binding
from staging.store.nonces import Nonces
from staging.store.releases import StrategyType, Target
from staging.times import now_ms
from tools.attack.odd import ODD_TEXTS
from tools.mutations import mutate
from transport.errors import NotSentError, RequestTimeoutError
from wire.abilities import CLOUD_READS, DEVICE_READS
from wire.exchange import Answer, Request
from wire.reports import (
    KEY_PACKAGE_INFO,
    REGISTER_PATH,
    REPORT_PATH,
    Credentials,
    abilities_report,
    registration_payload,
    report_payload,
    report_query,
)

USER, PASSWORD = "tester", "a long enough password"  # of a store that lives for a minute
# Somebody else, for what is done to accounts: what is done to the own one ends the session.
OTHER = "another"
# Memory, where there is one: each change is a commit.
MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of our own in it
# Seconds for one answer.
DEADLINE = 30.0
VERSION, NEXT_VERSION = "1.0.0", "1.1.0"
_DESCRIPTION = {
    "resources": [
        {
            "name": name, "resourceType": "", "type": kind, "label": name, "description": name, "uri": f"/{name}",
            "protocol": ["COAP"], "method": ["GET", "PUT"], **({"pattern": {"range": [0, 100]}} if kind == "int" else {}),
        }
        for name, kind in (("volume", "int"), ("power", "bool"), ("player", "string"))
    ],
    "report": [],
}  # fmt: skip


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


class Machine:
    """Answers as a device does that has lost its mind: well, oddly, or not."""

    def __init__(self, chance: random.Random) -> None:
        """Take chance from ``chance``."""
        self._chance = chance

    async def request(
        self, _connection: Any, method: str, path: tuple[str, ...], *_given: Any, **_named: Any
    ) -> Answer:
        """Answer a request of the cloud; raises TransportError."""
        drawn = self._chance.random()
        if drawn < 0.1:
            raise NotSentError("the connection has just ended")
        if drawn < 0.15:
            raise RequestTimeoutError("no answer")
        good = json.dumps(_DESCRIPTION).encode() if path == ("resource",) else b"5"
        payload = good if drawn < 0.6 else mutate(good, self._chance)
        code = 0x45 if method == "GET" else 0x44
        return Answer(code if drawn < 0.8 else self._chance.randrange(256), payload)

    def watch(self, _connection: Any, /, quiet: float) -> None:
        """Do nothing."""


class Stage:
    """A cloud in this process, with a device, its owner, and an app."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        """Make it in ``folder``, which is empty."""
        data = DataDir(folder).create()
        self.database = Database(folder / "cloud.sqlite")
        self.gateway = Gateway(self.database, api_url=lambda: "http://127.0.0.1:1")
        recognition = Recognition(self.database, self.gateway.control, data)
        self.gateway.listen(recognition.collect)
        nonces = Nonces(self.database, now_ms)
        services = Services(
            self.database, self.gateway, nonces, now_ms, recognition, bench=Bench(folder)
        )
        self.api = create_app(services, data.tuf)
        self.console = create_console(services, data)
        self.account = self._furnish()
        self.peer = Peer()
        self.gateway.join(self.peer, Machine(chance))
        self.cookie = self.csrf = ""

    def _furnish(self) -> int:
        call, now = self.database.call, now_ms()
        account = call(accounts.add, USER, passwords.hash_password(PASSWORD), now, Role.OPERATOR)
        call(accounts.add, OTHER, passwords.hash_password(PASSWORD), now, Role.TESTER)
        self.app = call(apps.add_app, "app", AppType.WEB, None, now)
        self.token, _ = call(apps.issue_token, self.app.id, USER, now)
        self.device = call(devices.add, None, now)
        call(devices.bind, self.device.uuid, self.device.bind_token or "", account.id, now)
        call(products.os_version, self.device.product_id, VERSION)
        target = Target("bear.tar", 5_000_000, "0" * 32, "0" * 64)
        call(releases.add_package, NEXT_VERSION, target, "calmer", now)
        strategy = call(releases.add_strategy, NEXT_VERSION, StrategyType.PASSIVE, [], [], now)
        call(rollouts.set_plan, strategy.id, ["50%", "100%"], {"soak": 3600})
        call(webhooks.add, "https://hooks.example.org/alarms", now)
        number: int = account.id
        return number

    def enter(self) -> None:
        """Begin a session at the console."""
        console: Console = self.console.state.console
        found = self.database.call(accounts.login, USER)
        if found is None:
            raise RuntimeError("the operator's account is gone")
        cookie, session = console.sessions.begin(found)
        self.cookie, self.csrf = f"{COOKIE}={cookie}", session.csrf

    def mend(self) -> None:
        """Give the owner back what odd requests have taken: the device, and the app's token."""
        self.database.call(self._bring_home)
        self.token, _ = self.database.call(apps.issue_token, self.app.id, USER, now_ms())
        self.app = self.database.call(apps.find, self.app.id) or self.app

    def _bring_home(self, session: Session) -> None:
        device = devices.get(session, self.device.uuid)
        device.barred, device.next_bind_token, device.bind_token = [], None, self.device.bind_token
        if session.get(Binding, device.id) is None:
            session.add(Binding(device_id=device.id, account_id=self.account, create_time=now_ms()))

    async def register(self) -> None:
        """Let the device register, and tell what it reads and runs."""
        told = Credentials(self.device.uuid, self.device.token)
        registered = Request("POST", REGISTER_PATH, (), registration_payload(told))
        await self.gateway.serve(self.peer, registered)
        running = {"os": {"version": VERSION}}
        report = abilities_report(told.uuid, DEVICE_READS | CLOUD_READS)
        payload = report_payload({KEY_PACKAGE_INFO: running, **report})
        await self.gateway.serve(
            self.peer, Request("POST", REPORT_PATH, report_query(told), payload)
        )


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


def latin(text: str) -> str:
    """Return a text as a header's value of one line."""
    return (
        text.encode("utf-8", "surrogatepass").decode("latin-1").replace("\r", "").replace("\n", "")
    )


def odd_header(chance: random.Random) -> str:
    """Return a value that no client sends."""
    return latin(chance.choice([*ODD_TEXTS, "http://[", "bytes=0-", "bytes=-0", 'W/""']))


@asynccontextmanager
async def staged(chance: random.Random) -> AsyncIterator[Stage]:
    """Make a cloud, and remove it at the end."""
    base = str(MEMORY) if MEMORY.is_dir() else None  # noqa: ASYNC240  # nothing else runs yet
    folder = Path(tempfile.mkdtemp(prefix="story-fuzz-", dir=base))
    stage = Stage(folder, chance)
    try:
        stage.enter()
        await stage.register()
        yield stage
    finally:
        await stage.gateway.stop()
        stage.database.close()
        shutil.rmtree(folder, ignore_errors=True)
