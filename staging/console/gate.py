"""The gate before every handler of the console that needs a log-in.

`endpoint` asks in this order: the session (401 ``login_required``), which must be of the account's present
generation; the CSRF token (403 ``csrf``); the role (403 ``role``); the device of the path (404 ``not_found``) and
how it stands to the account (403 ``family`` or ``1212``). What a route may is its row in
`staging.identity.rights.CONSOLE`. What changes something, and what is refused to somebody who is logged in, is
written into the audit log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from staging.console.call import (
    SAFE_METHODS,
    Call,
    Console,
    ConsoleError,
    Visit,
    check_csrf,
    convert,
    open_endpoint,
)
from staging.errors import ErrorCode, RefusedError, StoreBusyError
from staging.identity import rights
from staging.identity.rights import CONSOLE, Reach, Refusal, Rule, Standing
from staging.store import accounts, overview
from staging.store.audit import DONE, Entry, Source
from staging.store.overview import DeviceRow

Work = Callable[[Call], Awaitable[Response]]

# How long a live page and an idle session may outlive their account's permission, in seconds; requests are
# judged anew each.
LOOK_SECONDS = 2.0
_FORBIDDEN, _ERRORS_FROM = 403, 400
# A control request does not wait for its entry in the audit log.
_QUICK = {"device.control"}
_SEE = Rule(rights.STAFF, Reach.SEE)

_log = logging.getLogger(__name__)


def endpoint(method: str, path: str, work: Work) -> Callable[[Request], Any]:
    """Wrap the handler of a route; raises KeyError if `CONSOLE` has no row for it."""
    rule = CONSOLE[method, path]

    async def checked(visit: Visit) -> Response:
        call = await _enter(visit)
        try:
            _judge(call, rule)
            if "uuid" in call.request.path_params:
                call = replace(call, device=await find(call, call.param("uuid").lower()))
                _judge(call, rule)
            response = await work(call)
        except Exception as error:
            _note_refusal(call, rule, error)
            raise
        if rule.action and not call.done.reads and response.status_code < _ERRORS_FROM:
            await _note(call, rule)
        return response

    return open_endpoint(checked)


async def _enter(visit: Visit) -> Call:
    """Return the call of somebody who is logged in; raises ConsoleError."""
    session, console = visit.session, visit.console
    if session is None:
        raise ConsoleError(401, "login_required", "log in first")
    asked = {session.account_id}
    current = await console.services.database.read(accounts.current, asked)
    if console.sessions.end_of_before(current, asked):
        console.hub.wake()
    if not console.sessions.is_alive(session):
        raise ConsoleError(401, "login_required", "the session has ended, log in again")
    if visit.request.method not in SAFE_METHODS:
        check_csrf(visit.request, session.csrf)
    return Call(visit.request, console, session)


async def find(call: Call, uuid: str) -> DeviceRow:
    """Return a device; raises ConsoleError 404."""
    rows = await call.services.database.read(overview.rows, {uuid})
    if not rows:
        raise ConsoleError(404, "not_found", f"device {uuid}: there is none")
    return rows[0]


def standing(call: Call, row: DeviceRow) -> Standing:
    """Return how a device stands to the caller."""
    return rights.standing(row.device.version, row.account_id, call.session.account_id)


def sees(call: Call, row: DeviceRow) -> bool:
    """Return whether the caller may see a device, which may have been bound since the route was judged."""
    return rights.judge(_SEE, call.session.role, standing(call, row)) is None


def _judge(call: Call, rule: Rule) -> None:
    """Refuse what the rule refuses; raises ConsoleError or RefusedError. Without a device only the role counts."""
    role, row = call.session.role, call.device
    if row is None:
        refusal = rights.judge(replace(rule, reach=Reach.NONE), role)
    else:
        refusal = rights.judge(rule, role, standing(call, row))
    match refusal:
        case None:
            return
        case Refusal.ROLE:
            needed = " or ".join(sorted(rule.roles or ()))
            text = f"this needs the role {needed}; {call.session.user_name} is {role}"
        case Refusal.NOT_BOUND if row is not None:
            raise RefusedError(ErrorCode.NOT_BOUND, row.device.uuid)
        case _:
            uuid = "" if row is None else row.device.uuid
            text = f"device {uuid}: it is in a family's hands; testers see devices under development and their own"
    raise ConsoleError(_FORBIDDEN, refusal.value, text)


def _note_refusal(call: Call, rule: Rule, error: Exception) -> None:
    """Log that somebody asked for what is not theirs."""
    told = convert(call.request, error) if isinstance(error, ConsoleError | RefusedError) else None
    if rule.action and told is not None and told.status == _FORBIDDEN:
        call.services.audit.note(_entry(call, rule, told.code))


async def _note(call: Call, rule: Rule) -> None:
    entry = _entry(call, rule, DONE)
    if rule.action in _QUICK:
        call.services.audit.note(entry)
    else:
        await call.services.audit.add(entry)


def _entry(call: Call, rule: Rule, outcome: str) -> Entry:
    done, row = call.done, call.device
    return Entry(
        call.services.clock(),
        Source.CONSOLE,
        call.session.user_name,
        rule.action,
        actor_id=call.session.account_id,
        role=call.session.role.value,
        device=(done.device or call.request.path_params.get("uuid", "")).lower(),
        subject_id=done.subject_id or (None if row is None else row.account_id),
        target=done.target,
        outcome=outcome,
    )


async def keep_sessions(console: Console) -> None:
    """End sessions and live pages of accounts that were taken back, until cancelled."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        asked = console.sessions.account_ids
        if not asked:
            continue
        try:
            current = await console.services.database.read(accounts.current, asked)
        except (StoreBusyError, SQLAlchemyError) as error:
            _log.warning("console: sessions are looked at later: %s", type(error).__name__)
            continue
        if console.sessions.end_of_before(current, asked):
            console.hub.wake()
