"""The log-in and consent page (open API 1.1), on which a user grants an app access.

One page does both. Between requests the only state is a cookie with the form's token: there is no
session that another site could use (CSRF). The app and its redirect URI are verified before
anything is shown; an error in them is shown to the user here and never causes a redirect.
"""

from __future__ import annotations

import hmac
import math
import re
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from staging.api import authorize_page
from staging.api.audited import AuditedRoute, Trail
from staging.api.auth import Served
from staging.api.authorize_page import Form, Language
from staging.api.failures import ApiError, page_errors
from staging.errors import ThrottledError
from staging.identity import oauth
from staging.store import apps
from staging.store.apps import TOKEN_LIFETIME_S
from staging.store.models import App
from wire.errors import FieldError
from wire.fields import INT64_MAX

COOKIE = "story-authorize"
# A form that was open for longer than this must be filled in again (seconds).
COOKIE_LIFETIME = 3600
STATE_LIMIT = 2048
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")

router = APIRouter(route_class=AuditedRoute)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a token, with its app and redirect URI verified."""

    app: App
    redirect: str
    state: str
    response_type: str
    scope: str

    def answer(self, *parameters: tuple[str, str]) -> Response:
        """Redirect the browser to the app, with the response in the fragment."""
        uri = oauth.answer_uri(self.redirect, parameters)
        return RedirectResponse(uri, HTTPStatus.FOUND, _HEADERS)

    def refuse(self, error: str) -> Response:
        """Redirect with an error code (RFC 6749, 4.2.2.1)."""
        return self.answer(("error", error), ("state", self.state))


_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


async def _asked(
    services: Served,
    client_id: Annotated[str, Query(description="the appId", max_length=20)] = "",
    response_type: Annotated[str, Query(description="token", max_length=64)] = "",
    redirect_uri: Annotated[str, Query(max_length=oauth.REDIRECT_LIMIT)] = "",
    scope: Annotated[str, Query(description="joined by commas", max_length=256)] = "",
    state: Annotated[str, Query(max_length=STATE_LIMIT)] = "",
) -> Asked:
    number = int(client_id) if client_id.isascii() and client_id.isdigit() else 0
    app = await services.database.read(apps.find, number) if number <= INT64_MAX else None
    if app is None:
        raise ApiError("400", 400, str(FieldError("client_id", client_id, "the appId of an app")))
    redirect = oauth.registered(redirect_uri, app.redirect_uris)
    if redirect is None:
        expected = "an address that the app is registered with"
        raise ApiError("400", 400, str(FieldError("redirect_uri", redirect_uri, expected)))
    return Asked(app, redirect, state, response_type, scope)


AskedFor = Annotated[Asked, Depends(_asked)]


_RESPONSES = page_errors(
    {
        401: "the page again: wrong account or password",
        403: "the page again: its form was too old",
        429: "the page again: too many failed log-ins",
    }
) | {
    302: {
        "description": "to the redirect URI, with `#access_token=…&state=…&scope=…&expires_in=…`"
        " or `#error=…&state=…`",
        "headers": {"Location": {"schema": {"type": "string"}}},
    }
}


@router.get("/account/authorize", response_class=HTMLResponse, responses=_RESPONSES)
async def show(request: Request, asked: AskedFor) -> Response:
    """1.1: ask the user to log in and to grant the app access."""
    scopes = _scopes(asked)
    if isinstance(scopes, Response):
        return scopes
    return _page(request, asked, scopes)


@router.post(
    "/account/authorize", status_code=302, response_class=RedirectResponse, responses=_RESPONSES
)
async def decide(request: Request, services: Served, asked: AskedFor) -> Response:
    """1.1: redirect the browser to the app with the token, or with the user's refusal."""
    scopes = _scopes(asked)
    if isinstance(scopes, Response):
        return scopes
    form = await _form(request)
    cookie = _cookie(request)
    if cookie is None or not hmac.compare_digest(cookie.encode(), form["csrf"].encode()):
        return _page(request, asked, scopes, problem="form", status=403)
    if form["answer"] != "allow":
        return asked.refuse("access_denied")
    name, address = form["user"], request.client.host if request.client else ""
    try:
        login = await services.log_ins.check(
            services.database, services.clock, name, form["password"], address
        )
    except ThrottledError as error:
        late = _page(request, asked, scopes, problem="wait", status=429, name=name)
        late.headers["Retry-After"] = str(math.ceil(error.wait))
        return late
    if login is None:
        return _page(request, asked, scopes, problem="login", status=401, name=name)
    token = await services.database.write(
        apps.grant, asked.app.id, login.account_id, scopes, services.clock()
    )
    request.state.trail = Trail(
        login.account_id, login.user_name, login.role.value, asked.app.name, target=",".join(scopes)
    )
    return asked.answer(
        ("access_token", token),
        ("state", asked.state),
        ("scope", ",".join(scopes)),
        ("expires_in", str(TOKEN_LIFETIME_S)),
    )


def _scopes(asked: Asked) -> list[str] | Response:
    """Return the requested scopes, or the response to an invalid request."""
    if asked.response_type != "token":
        return asked.refuse("unsupported_response_type")
    try:
        return oauth.grantable(asked.scope, asked.app.scopes)
    except FieldError:
        return asked.refuse("invalid_scope")


def _cookie(request: Request) -> str | None:
    """Return the form token in the browser's cookie, or None if it has no valid one."""
    value = request.cookies.get(COOKIE, "")
    return value if _COOKIE_VALUE.fullmatch(value) else None


async def _form(request: Request) -> dict[str, str]:
    """Parse the form; a missing field is empty. `Boundary` limits the body's length."""
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=10)
    except ValueError:
        fields = {}
    return {name: fields.get(name, [""])[0] for name in ("csrf", "answer", "user", "password")}


def _page(
    request: Request,
    asked: Asked,
    scopes: list[str],
    *,
    problem: str | None = None,
    status: int = 200,
    name: str = "",
) -> Response:
    csrf = _cookie(request) or secrets.token_urlsafe(32)
    language = Language.of(request.headers.get("accept-language", ""))
    form = Form(asked.app.name, scopes, csrf, name, problem)
    text = authorize_page.render(form, language)
    response = HTMLResponse(text, status, _HEADERS | authorize_page.headers(asked.redirect))
    response.set_cookie(
        COOKIE,
        csrf,
        max_age=COOKIE_LIFETIME,
        path=request.url.path,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response
