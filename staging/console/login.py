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
    name, password = text_of(body, "user"), text_of(body, "password", secret=True)
    client, services = visit.request.client, visit.console.services
    address = client.host if client else "unknown"
    try:
        login = await services.log_ins.check(
            services.database, services.clock, name, password, address
        )
    except ThrottledError as error:
        raise ConsoleError(429, "throttled", str(error), retry_after=error.wait) from error
    if login is None:
        raise ConsoleError(401, "login_failed", "wrong name or password")
    if login.role not in STAFF:
        text = (
            f"{login.user_name} is a family's account ({login.role}); it has no console. Whoever runs this cloud "
            f"gives it another role: story-cloud account role NAME tester"
        )
        raise ConsoleError(403, "no_console", text)
    if visit.session is not None:
        visit.console.sessions.end(visit.session)
    cookie, session = visit.console.sessions.begin(login)
    await _note_log_in(visit, session, address)
    response = JSONResponse(_session_value(session))
    _set_cookie(visit, response, COOKIE, cookie)
    response.delete_cookie(VISITOR_COOKIE, path=PATH)
    return response


async def _note_log_in(visit: Visit, session: Session, address: str) -> None:
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
            target=f"from {address}",
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
