"""Login and logout of the console."""

from __future__ import annotations

import secrets

from starlette.responses import JSONResponse, Response

from staging.console.call import (
    COOKIE,
    VISITOR_COOKIE,
    Call,
    ConsoleError,
    Visit,
    check_csrf,
    text_of,
)
from staging.console.sessions import LIFETIME_SECONDS, Session
from staging.errors import ThrottledError
from staging.identity.rights import STAFF
from staging.store.accounts import Login
from staging.store.audit import Entry, Source

PATH = "/console"


async def show(visit: Visit) -> Response:
    """Return who is logged in; a visitor gets the CSRF token and cookie for the login form."""
    if visit.session is not None:
        return JSONResponse(_session_value(visit.session))
    visitor = visit.request.cookies.get(VISITOR_COOKIE) or secrets.token_urlsafe(24)
    csrf = visit.console.sessions.login_token(visitor)
    response = JSONResponse({"user": None, "role": None, "csrf": csrf})
    _set_cookie(visit, response, VISITOR_COOKIE, visitor)
    return response


async def log_in(visit: Visit) -> Response:
    """Verify name and password, and begin a session."""
    visitor = visit.request.cookies.get(VISITOR_COOKIE, "")
    check_csrf(visit.request, visit.console.sessions.login_token(visitor))
    body = await visit.body()
    login = await check(visit, text_of(body, "user"), text_of(body, "password", secret=True))
    if login is None:
        raise ConsoleError(401, "login_failed", "wrong name or password")
    if login.role not in STAFF:
        text = (
            f"{login.user_name} is a family's account ({login.role}); it has no console. Whoever runs this cloud "
            f"gives it another role: story-cloud account role NAME tester"
        )
        raise ConsoleError(403, "no_console", text)
    session, response = enter(visit, login)
    await _note_log_in(visit, session)
    response.delete_cookie(VISITOR_COOKIE, path=PATH)
    return response


async def check(visit: Visit, name: str, password: str) -> Login | None:
    """Return the account's log-in, or None if name or password is wrong; raises ConsoleError 429."""
    services = visit.console.services
    try:
        return await services.log_ins.check(
            services.database, services.clock, name, password, _address(visit)
        )
    except ThrottledError as error:
        raise ConsoleError(429, "throttled", str(error), retry_after=error.wait) from error


def enter(visit: Visit, login: Login) -> tuple[Session, Response]:
    """End the visitor's session, if there is one, and begin another; returns it and the answer with its cookie."""
    if visit.session is not None:
        visit.console.sessions.end(visit.session)
    cookie, session = visit.console.sessions.begin(login)
    response = JSONResponse(_session_value(session))
    _set_cookie(visit, response, COOKIE, cookie)
    return session, response


def _address(visit: Visit) -> str:
    return visit.request.client.host if visit.request.client else "unknown"


async def _note_log_in(visit: Visit, session: Session) -> None:
    services = visit.console.services
    await services.audit.add(
        Entry(
            services.clock(),
            Source.CONSOLE,
            session.user_name,
            "session.begin",
            actor_id=session.account_id,
            role=session.role.value,
            subject_id=session.account_id,
            target=f"from {_address(visit)}",
        )
    )


async def log_out(call: Call) -> Response:
    """End the session and its live streams."""
    call.console.sessions.end(call.session)
    response = JSONResponse({"user": None})
    response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")
    return response


def _session_value(session: Session) -> dict[str, object]:
    return {"user": session.user_name, "role": session.role.value, "csrf": session.csrf}


def _set_cookie(visit: Visit, response: Response, name: str, value: str) -> None:
    response.set_cookie(
        name,
        value,
        max_age=int(LIFETIME_SECONDS),
        path=PATH,
        secure=visit.request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
