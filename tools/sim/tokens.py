"""An app's access tokens in a simulated world: how they end, how the app comes to another one, and what may not be.

A token ends at a time that was set, or is taken back; the app hears of it by 426 or 404 (open API 1.2) and asks the family
again, by the real page of consent (1.1). Whoever has a token that has ended may still try it, also after a power cut.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from staging.identity.oauth import DOCUMENT_REDIRECT
from staging.store import Database, accounts, apps, grants
from staging.store.grants import Which
from staging.store.models import Account
from tools.sim.clock import START

if TYPE_CHECKING:
    from tools.sim.cloud import Cloud
    from tools.sim.open_api import AppKey, OpenApi

USER, PASSWORD = "parents", "a family's password"
AUTHORIZE, VALIDATE = "/v1/account/authorize", "/v1/account/validate"
# What a token that has ended may be answered: not authentic, unknown, expired, or that the store has no time.
REFUSALS = frozenset({401, 404, 426, 503})
# What says of a token that it has ended; nothing else does in an order's answer.
ENDED = frozenset({404, 426})
# The cloud counts time in milliseconds.
ROUNDING_SECONDS = 0.002
# Tokens that have ended, and that somebody still has.
OLD = 5
# At the end of a world an app asks so often for a token that works, and pauses so long.
TRIES, PAUSE_SECONDS, GET_ON_SECONDS = 3, 5.0, 60.0


def cheap_hash(password: str) -> str:
    """Return a stored password that is checked in no time: it says itself how dear it is."""
    salt = b"simulated"
    digest = hashlib.scrypt(password.encode(), salt=salt, n=2, r=1, p=1, dklen=32)
    told = [base64.b64encode(part).decode() for part in (salt, digest)]
    return "$".join(["scrypt", "2", "1", "1", *told])


class Tokens:
    """Those of one world's app."""

    def __init__(self, key: AppKey, now: Callable[[], float], count: Callable[[str], None]) -> None:
        """Begin with the token of ``key``; ``now`` is the true time, ``count`` counts for the totals."""
        self.key = key
        self._now, self._count = now, count
        self.is_refused = False
        """Whether the app was told that its token has ended."""
        self.old: deque[AppKey] = deque(maxlen=OLD)
        self.broken: list[str] = []
        self._ends: dict[str, float] = {}
        """When each ends at the latest."""
        self._lives: dict[str, float] = {}
        """Until when each that was given is valid at least, unless it is ended before."""
        self._doubtful: Counter[str] = Counter()
        """How many ends of a token were begun and not told, by a cloud that may have been killed meanwhile."""

    # How they end.

    async def end(self, database: Database, seconds: float) -> float:
        """Let the app's token expire ``seconds`` from now, if it does not before that; return when."""
        key, at = self.key, self._now() + seconds
        self._begin_end(key)
        await database.write(grants.expire, _of(key), int((START + at) * 1000))
        self._count("tokens that expired")
        return self._know_end(key, at)

    async def take_back(self, database: Database, *, by_password: bool) -> None:
        """Take the app's token back: itself, or by another password of its family."""
        key = self.key
        self._begin_end(key)
        if by_password:
            await database.write(_change_password, int((START + self._now()) * 1000))
        else:
            await database.write(grants.revoke, _of(key))
        self._know_end(key, self._now())
        self._count("tokens taken back")

    def _begin_end(self, key: AppKey) -> None:
        self._doubtful[key.token] += 1
        if key not in self.old:
            self.old.append(key)

    def _know_end(self, key: AppKey, at: float) -> float:
        """Note an end that is stored; return the token's, which no later one puts off."""
        self._doubtful[key.token] -= 1
        self._ends[key.token] = min(at, self._ends.get(key.token, at))
        return self._ends[key.token]

    # What is answered.

    def judge(self, token: str, began: float, status: int) -> None:
        """Note what a request with ``token`` that was sent at ``began`` was answered."""
        ends = self._ends.get(token)
        if ends is not None and began >= ends + ROUNDING_SECONDS and status not in REFUSALS:
            late = began - ends
            self.broken.append(f"a token was answered {status} {late:.1f} s after its end")
        if status not in ENDED or token == "":
            return
        if token == self.key.token:
            self.is_refused = True
        is_over = ends is not None and self._now() >= ends - ROUNDING_SECONDS
        is_over |= self._now() >= self._lives.get(token, self._now() + 1) - ROUNDING_SECONDS
        if not is_over and not self._doubtful[token]:
            self.broken.append(f"a token was answered {status}, and has not ended")

    # How the app comes to another one.

    async def renew(self, api: OpenApi) -> bool:
        """Ask the family for another token, by the page of consent; return whether there is one."""
        query, began = _query(self.key.app_id), self._now()
        status, headers = _head(await api.call("GET", AUTHORIZE, (), query=query))
        if status != 200:
            self._refused("shown", status)
            return False
        csrf = headers.get("set-cookie", "").partition("=")[2].partition(";")[0]
        status, headers = await consent(api, self.key.app_id, (USER, PASSWORD), csrf=csrf)
        given = parse_qs(urlsplit(headers.get("location", "")).fragment)
        if status != 302 or "access_token" not in given:
            self._refused("answered", status)
            return False
        if self.key not in self.old:
            self.old.append(self.key)
        self.key, self.is_refused = replace(self.key, token=given["access_token"][0]), False
        valid = float(given["expires_in"][0])
        self._lives[self.key.token] = began + valid
        self._ends[self.key.token] = self._now() + valid
        self._count("tokens given anew")
        return True

    def _refused(self, what: str, status: int) -> None:
        """Note that the page failed; while the store is busy, or too many log in, it may."""
        if status not in {429, 503}:
            self.broken.append(f"the page of consent was {what} with {status}")

    async def get_on(self, api: OpenApi, sleep: Callable[[float], Any]) -> None:
        """Come to a token that works, as an app does that is opened again when all faults are over."""
        for _ in range(TRIES):
            if not self.is_refused or await self.renew(api):
                began = self._now()
                status, _ = _head(await api.call("GET", VALIDATE, self.key.headers()))
                self.judge(self.key.token, began, status)
                if status == 200:
                    return
            await sleep(PAUSE_SECONDS)
        self.broken.append("an app that asked for another token did not get on")


def _query(app_id: int) -> str:
    return urlencode({
        "client_id": app_id, "response_type": "token", "redirect_uri": DOCUMENT_REDIRECT, "scope": "", "state": "sim",
    })  # fmt: skip


async def consent(
    api: OpenApi,
    app_id: int,
    login: tuple[str, str],
    *,
    csrf: str = 43 * "c",
    address: str | None = None,
) -> tuple[int, dict[str, str]]:
    """Log in with a name and a password at the page of consent, from ``address``, and consent; return the answer's status and headers."""
    user, password = login
    form = {"csrf": csrf, "answer": "allow", "user": user, "password": password}
    told = [
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"cookie", f"story-authorize={csrf}".encode()),
    ]
    body = urlencode(form).encode()
    return _head(await api.call("POST", AUTHORIZE, told, body, _query(app_id), address))


async def let_get_on(cloud: Cloud, tokens: Tokens) -> None:
    """Let the app come to a token that works, as the cloud's own code."""
    if cloud.api is None:
        return
    work = cloud.run(tokens.get_on(cloud.api, asyncio.sleep))
    if work is not None:
        await asyncio.wait([work], timeout=GET_ON_SECONDS)
        if work.done() and (error := work.exception()) is not None:
            tokens.broken.append(f"the open API fails: {error!r}")


def _of(key: AppKey) -> Which:
    return Which(digest=apps.token_digest(key.token))


def _change_password(session: Any, now: int) -> None:
    """Give the family the same password in another hash, so that it can log in still; its tokens expire."""
    account: Account = accounts.one(session, USER)
    accounts.set_password(session, account, cheap_hash(PASSWORD), now)


def _head(sent: Sequence[dict[str, Any]]) -> tuple[int, dict[str, str]]:
    """Return an answer's status and headers, of those that come twice the last."""
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return int(sent[0]["status"]), headers
