"""The simulated cloud's open API: the real application by ASGI, and an app that signs what it asks.

Between the two there is no HTTP server and no network: an app that is cut off asks again, and the machine is not concerned.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from staging.api.app import create_app
from staging.erasing import Eraser
from staging.gateway.gateway import Gateway
from staging.identity.signature import new_nonce, sign
from staging.services import Services
from staging.store import Database, apps, devices
from staging.store.apps import AppType
from staging.store.models import Device
from staging.store.nonce_journal import NonceJournal
from staging.store.nonces import Nonces
from staging.times import now_ms
from tools.sim.clock import START
from tools.sim.tokens import PASSWORD, USER, Tokens, cheap_hash

SEND = "/v1/device/control/send"
# Seconds until an app has an answer: the machine has ten, and a busy store some.
ANSWER_SECONDS = 13.0
# From where the app asks.
APP_ADDRESS = "10.9.9.9"
# Requests that somebody has listened to, and sends again later.
HEARD = 20


@dataclass(frozen=True, slots=True)
class AppKey:
    """What an app signs with, for the account that has the machine."""

    apikey: str
    secret: str
    token: str
    app_id: int = 0

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of one request, with a nonce of its own."""
        signed = sign(new_nonce(), self.apikey, self.secret, self.token)
        told = {
            "x-iot-app": self.apikey, "x-iot-signature": signed, "x-iot-token": self.token,
            "content-type": "application/json",
        }  # fmt: skip
        return [(name.encode(), value.encode()) for name, value in told.items()]


def make_app(session: Any, bound: Sequence[Device]) -> AppKey:
    """Add an app to a store, and bind devices to its user."""
    now = int(START * 1000)
    made = apps.add_app(session, USER, AppType.WEB, None, now)
    token, account = apps.issue_token(session, made.id, USER, now)
    account.password = cheap_hash(PASSWORD)
    for device in bound:
        devices.bind(session, device.uuid, device.bind_token or "", account.id, now)
    return AppKey(made.apikey, made.secret, token, made.id)


@dataclass(frozen=True, slots=True)
class Request:
    """One signed request, which somebody may send a second time."""

    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    token: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the app is answered: the HTTP status, the envelope's code, and the machine's code ("2.04"), "" for none."""

    status: int
    code: int
    told: str

    @property
    def is_done(self) -> bool:
        """Whether it says that the machine has done it."""
        return self.status == 200 and self.told == "2.04"


class OpenApi:
    """The application of one start of the cloud, and the work beside it."""

    def __init__(
        self,
        database: Database,
        gateway: Gateway,
        folder: Path,
        is_full: Callable[[], bool],
        name: str = "sim",
        eraser: Eraser | None = None,
    ) -> None:
        """Serve ``database``; the journal of nonces of this process, ``name``, is in ``folder``, whose disk may be full; ``eraser`` erases voice, if any is to go."""
        self.is_full = is_full
        self.begin: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any] | None] = (
            asyncio.create_task
        )
        """Begins work of the process that serves it; None: it is gone."""
        self._journal = NonceJournal(folder, name)
        self._nonces = Nonces(database, now_ms, asyncio.get_running_loop().time, self._journal)
        self._services = Services(database, gateway, self._nonces, now_ms)
        self._eraser = eraser
        if eraser is not None:
            self._services = replace(
                self._services, erase_rest=eraser.soon, voice_days=eraser.voice_days
            )
        self._app: Any = create_app(self._services, folder / "tuf")

    async def restore(self) -> None:
        """Take up what the process before has left, before the first request."""
        await self._nonces.restore()

    def upkeep(self) -> list[Coroutine[Any, Any, None]]:
        """Return what runs beside the requests."""
        works = [self._nonces.keep_saving(), self._services.audit.keep_saving()]
        return works if self._eraser is None else [*works, self._eraser.run()]

    async def ask(self, request: Request) -> Answer:
        """Answer one ``control/send``."""
        return _read(await self.call("POST", SEND, request.headers, request.body))

    async def call(
        self,
        method: str,
        path: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes = b"",
        query: str = "",
        address: str | None = None,
    ) -> list[dict[str, Any]]:
        """Answer any request, from an ``address``; return the messages of ASGI."""
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(b"host", b"cloud.test"), *headers], "client": (address or APP_ADDRESS, 40_000),
            "server": ("cloud.test", 80),
        }  # fmt: skip
        await self._app(scope, receive, send)
        return sent


class Apps:
    """What apps are answered, and what of that may not be."""

    def __init__(self, key: AppKey, now: Callable[[], float], count: Callable[[str], None]) -> None:
        """Sign with ``key`` at first; judge by the true time ``now``; ``count`` counts for the totals."""
        self._now, self._count = now, count
        self.tokens = Tokens(key, now, count)
        self.heard: deque[Request] = deque(maxlen=HEARD)
        """Orders that were answered as done, as somebody on the way has them."""
        self.broken: list[str] = []
        self.on_done: Callable[[OpenApi, float], None] = lambda _api, _began: None
        """Hears which process has answered an order as done, and when that was sent."""

    async def ask(self, api: OpenApi, request: Request) -> Answer | None:
        """Send an order; return the answer, None if there is none."""
        began = self._now()
        answer = await self._answer(api, request)
        if answer is not None and answer.is_done:
            self._count("commands done")
            self.on_done(api, began)
            if not api.is_full():  # the nonce is in memory alone then (docs/adr/0054)
                self.heard.append(request)
        return answer

    async def ask_anew(self, api: OpenApi, make: Callable[[AppKey], Request]) -> None:
        """Ask the family for another token, and send an order with it; without one, with the token of before."""
        await self.tokens.renew(api)
        await self.ask(api, make(self.tokens.key))

    async def ask_again(self, api: OpenApi, request: Request) -> None:
        """Send what was answered as done a second time: its nonce is used, also after a power cut."""
        answer = await self._answer(api, request)
        if answer is not None and answer.is_done:
            self.broken.append("a request of before was taken a second time")

    async def ask_forged(self, api: OpenApi, request: Request) -> None:
        """Send what somebody has signed who does not know the secret."""
        answer = await self._answer(api, request)
        if answer is not None and answer.is_done:
            self.broken.append("a request was taken that is not signed with the app's secret")

    async def _answer(self, api: OpenApi, request: Request) -> Answer | None:
        began = self._now()
        try:
            answer = await api.ask(request)
        except Exception as error:  # noqa: BLE001  # any is a bug of the application's
            self.broken.append(f"the open API fails: {error!r}")
            return None
        if self._now() - began > ANSWER_SECONDS:
            self.broken.append(f"an app waited {self._now() - began:.0f} s for an answer")
        if answer.status == 500:
            self.broken.append("an app was answered 500")
        self._count(f"answered {answer.status}")
        self.tokens.judge(request.token, began, answer.status)
        return answer


def order(key: AppKey, uuid: str, name: str, value: str) -> Request:
    """Return the request that sets a data point."""
    told = {"deviceUuid": uuid, "method": "PUT", "name": name, "content": value}
    return Request(key.headers(), json.dumps(told).encode(), key.token)


def _read(sent: Sequence[dict[str, Any]]) -> Answer:
    body = json.loads(b"".join(message.get("body", b"") for message in sent))
    data = body.get("data")
    told = str(data.get("code", "")) if isinstance(data, dict) else ""
    return Answer(int(sent[0]["status"]), int(body.get("code", 0)), told)
