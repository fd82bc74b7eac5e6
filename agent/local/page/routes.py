"""The routes of the device page: its files, the log-in, what it shows and what it sets, and the code for pairing.

``GET /page/`` and its files are for everybody; ``POST`` and ``DELETE /page/session`` log in and out; ``GET /page/state``,
``PUT /page/points/NAME``, ``GET /page/pair`` and ``/page/pair.svg``, and ``GET`` and ``DELETE /page/voice``, the ledger of
the child's voice, need the log-in, or the token as a program gives it.
Who may ask at all is decided by `agent.local.gate`.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agent.local.gate import Way, has_token, way_of
from agent.local.http import read_body
from agent.local.ledger import read_numbers
from agent.local.page import PREFIX, SESSIONS_NAME, texts
from agent.local.page.files import HEADERS, Files, choose_language
from agent.local.page.keys import find_key
from agent.local.page.ledger_view import build_ledger
from agent.local.page.sessions import SESSION_SECONDS, Sessions, Tries
from agent.local.page.view import READ, SETTABLE, Points, Read, build, explain_answer
from agent.local.web import JSONResponse, Request, Response, Route
from agent.words import EN, ZH, Words
from wire import exchange
from wire.codes import Code
from wire.errors import WireError

if TYPE_CHECKING:
    from agent.family import FamilyRoom
    from resources.dispatch import Dispatch

# Bytes of the form.
FORM_LIMIT = 1024
# Seconds; several phones that look at once cost one look.
FRESH_SECONDS = 0.5
# Seconds for one look, and for each data point in it: one that hangs is shown as such, and holds up nothing else.
LOOK_SECONDS = 10.0
POINT_SECONDS = 2.0
# "__Host-" keeps other programs of the host's name from setting it; browsers want TLS for that.
COOKIE, LOOPBACK_COOKIE = "__Host-story-page", "story-page"
_PRIVATE = {"Cache-Control": "no-store", **HEADERS}

Status = Callable[[], Awaitable[Mapping[str, object]]]


class DevicePage:
    """What all ports of one machine share: the sessions, the tries, and the last look."""

    def __init__(
        self,
        dispatch: Dispatch,
        status: Status,
        family: FamilyRoom,
        state: Path,
        now: Callable[[], float],
    ) -> None:
        """Show ``status``, the data points of ``dispatch`` and ``family``; ``now`` gives Unix time."""
        self._dispatch = dispatch
        self._status = status
        self._family = family
        self._files = Files()
        self._sessions = Sessions(state / SESSIONS_NAME, now)
        self._tries = Tries(time.monotonic)
        self._looking = asyncio.Lock()
        self.point_seconds = POINT_SECONDS
        self._seen: tuple[float, Mapping[str, object], Points] = (-math.inf, {}, {})

    def routes(self, token: str) -> list[Route]:
        """Return the routes of a port whose log-in takes ``token`` ("": nobody has it) or the bind token."""
        inside = functools.partial(self._inside, token)
        return [
            Route("/", _to_page, methods=["GET"]),
            Route(PREFIX.rstrip("/"), _to_page, methods=["GET"]),
            Route(f"{PREFIX}session", functools.partial(self._log_in, token), methods=["POST"]),
            Route(f"{PREFIX}session", self._log_out, methods=["DELETE"]),
            Route(f"{PREFIX}state", inside(self._show), methods=["GET"]),
            Route(f"{PREFIX}points/{{name}}", inside(self._set), methods=["PUT"]),
            Route(f"{PREFIX}pair", inside(self._pair), methods=["GET"]),
            Route(f"{PREFIX}pair.svg", inside(self._picture), methods=["GET"]),
            Route(f"{PREFIX}voice", inside(self._voice), methods=["GET"]),
            Route(f"{PREFIX}voice", inside(self._erase_voice), methods=["DELETE"]),
            Route(f"{PREFIX}{{name:path}}", self._file, methods=["GET"]),
        ]

    async def _file(self, request: Request) -> Response:
        return self._files.respond(request, request.path_params["name"])

    # The log-in.

    def _inside(
        self, token: str, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def asked(request: Request) -> Response:
            if await self._may(request, token):
                return await answer(request)
            return _tell(request, 401, texts.LOGGED_OUT)

        return asked

    async def _may(self, request: Request, token: str) -> bool:
        if way_of(request.scope) is Way.SOCKET or has_token(request.headers, token):
            return True
        name = request.cookies.get(_cookie(request), "")
        for key in (token, *self._family.bind_token.opening):
            if key and await self._sessions.holds(name, self._of_family(key)):
                return True
        return False

    def _of_family(self, key: str) -> str:
        """Return what a log-in by ``key`` is kept by: it ends when another family has the machine."""
        since = self._family.bind_token.since
        return f"{key}/{since}" if since else key

    async def _log_in(self, token: str, request: Request) -> Response:
        address = request.client.host if request.client else ""
        given = await read_body(request, FORM_LIMIT)
        # From here to the count nothing is awaited: tries side by side are counted one by one.
        if wait := math.ceil(self._tries.wait(address)):
            late = _tell(request, 429, texts.TOO_MANY, seconds=wait)
            late.headers["Retry-After"] = str(wait)
            return late
        key = None
        if not isinstance(given, exchange.Answer):
            held = self._family.bind_token
            for bind_token in held.opening:
                key = key or find_key(given, token, held.profile.uuid, bind_token)
        if key is None:
            self._tries.failed(address)
            return _tell(request, 403, texts.WRONG_TOKEN)
        name = await self._sessions.open(self._of_family(key))
        done = _tell(request, 201, texts.DONE)
        done.set_cookie(
            _cookie(request), name, max_age=int(SESSION_SECONDS), secure=_is_private(request)
        )
        return done

    async def _log_out(self, request: Request) -> Response:
        await self._sessions.close(request.cookies.get(_cookie(request), ""))
        done = _tell(request, 200, texts.DONE)
        done.set_cookie(_cookie(request), "", max_age=0, secure=_is_private(request))
        return done

    # What it shows and sets.

    async def _show(self, request: Request) -> Response:
        return await self._state(request, {})

    async def _set(self, request: Request) -> Response:
        """Set a data point, and answer with the state that is so afterwards, whatever became of it."""
        name, language = request.path_params["name"], _language(request)
        if name not in SETTABLE:
            return _tell(request, 404, texts.NOT_A_POINT, name=name)
        body = await read_body(request, exchange.BODY_LIMIT)
        if isinstance(body, exchange.Answer):
            answer = body
        else:
            # A parent's device, not the machine's own keys: the child lock does not hold it.
            answer = await self._dispatch.handle(exchange.Request("PUT", (name,), payload=body))
        self._seen = (-math.inf, {}, {})
        code = Code(answer.code)
        text = texts.DONE.of(language)
        if not code.is_success:
            text = explain_answer(answer.payload.decode(errors="replace"), language)
        return await self._state(request, {"set": {"ok": code.is_success, "text": text}})

    async def _state(self, request: Request, more: Mapping[str, object]) -> Response:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                status, points = await self._look()
        except TimeoutError:
            return _tell(request, 503, texts.BUSY)
        return JSONResponse({**build(status, points, _language(request)), **more}, headers=_PRIVATE)

    async def _look(self) -> tuple[Mapping[str, object], Points]:
        async with self._looking:
            at, status, points = self._seen
            if time.monotonic() - at >= FRESH_SECONDS:
                names = [name for name in READ if name in self._dispatch.points]
                status, answers = await asyncio.gather(
                    self._status(), asyncio.gather(*map(self._read, names))
                )
                points = dict(zip(names, answers, strict=True))
                self._seen = (time.monotonic(), status, points)
            return status, points

    async def _read(self, name: str) -> Read:
        try:
            async with asyncio.timeout(self.point_seconds):
                answer = await self._dispatch.handle_local(exchange.Request("GET", (name,)))
        except TimeoutError:
            return Read(ok=False, text="")
        return Read(answer.code == Code.CONTENT, answer.payload.decode(errors="replace"))

    # Pairing.

    async def _pair(self, request: Request) -> Response:
        from agent.first.pair import to_json  # noqa: PLC0415  # once in a machine's life

        can_draw = importlib.util.find_spec("segno") is not None
        note = "" if can_draw else texts.NO_PICTURE.of(_language(request))
        profile = self._family.bind_token.profile
        told = {**to_json(profile), "picture": can_draw, "note": note}
        return JSONResponse(told, headers=_PRIVATE)

    async def _picture(self, request: Request) -> Response:
        from agent.first.pair import picture  # noqa: PLC0415  # once in a machine's life

        if importlib.util.find_spec("segno") is None:
            return _tell(request, 404, texts.NO_PICTURE)
        drawn = await asyncio.to_thread(picture, self._family.bind_token.profile, "svg")
        return Response(drawn, headers=_PRIVATE, media_type="image/svg+xml")

    # The ledger of the child's voice.

    async def _voice(self, request: Request) -> Response:
        shown = build_ledger(await self._family.ledger.shown(), _language(request))
        return JSONResponse(shown, headers=_PRIVATE)

    async def _erase_voice(self, request: Request) -> Response:
        """Order voice to be erased, and answer with the ledger that is so afterwards."""
        try:
            numbers = read_numbers(request.query_params.get("id"))
        except WireError:
            return _tell(request, 400, texts.NOT_A_NUMBER)
        _, missing = await self._family.ledger.erase(numbers)
        if missing:
            return _tell(request, 404, texts.NO_ENTRY)
        return await self._voice(request)


async def _to_page(_request: Request) -> Response:
    return Response(status_code=307, headers={"Location": PREFIX, **HEADERS})


def _is_private(request: Request) -> bool:
    return way_of(request.scope) is Way.NETWORK


def _cookie(request: Request) -> str:
    return COOKIE if _is_private(request) else LOOPBACK_COOKIE


def _language(request: Request) -> str:
    """Return what the page's switch says, else what the browser does."""
    told = request.query_params.get("lang", "")
    return told if told in {ZH, EN} else choose_language(request.headers.get("accept-language", ""))


def _tell(request: Request, status: int, words: Words, **values: object) -> Response:
    text = words.of(_language(request)).format(**values)
    return Response(
        json.dumps({"text": text}, ensure_ascii=False), status,
        headers=_PRIVATE, media_type="application/json",
    )  # fmt: skip
