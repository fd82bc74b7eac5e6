"""The page of alarms' settings and webhooks: who is told of alarms, and what came of the last messages."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.alarm_rules import LIMITS
from staging.console.call import Call, number_of, text_of, whole_of
from staging.store import alarms, webhooks
from staging.store.webhooks import HOOKS_LIMIT, URL_LIMIT
from wire.errors import FieldError

# Lets webhooks into the cloud's own network, so it is for whoever runs the cloud, in a shell.
OF_THE_SHELL = "allow_private"


async def listing(call: Call) -> Response:
    """Return the webhooks with their newest messages, without secrets, and the settings of the alarms."""
    return JSONResponse(await call.services.database.read(_page))


async def add(call: Call) -> Response:
    """Tell another address of alarms; this answer alone contains its secret."""
    url = text_of(await call.body(), "url", limit=URL_LIMIT)
    made = await call.services.database.write(webhooks.add, url, call.services.clock())
    call.done.target = f"webhook {made.id}"
    answer = {"id": made.id, "url": made.url, "secret": made.secret}
    return JSONResponse(answer, 201, {"Cache-Control": "no-store"})


async def test(call: Call) -> Response:
    """Have a message sent that says only that it is a test."""
    number = _number(call)
    made = await call.services.database.write(webhooks.test, number, call.services.clock())
    return JSONResponse({"message": made.id}, 202)


async def switch_on(call: Call) -> Response:
    """Tell an address again."""
    return await _switch(call, on=True)


async def switch_off(call: Call) -> Response:
    """Tell an address nothing, until it is switched on."""
    return await _switch(call, on=False)


async def _switch(call: Call, *, on: bool) -> Response:
    await call.services.database.write(webhooks.switch, _number(call), on=on)
    return JSONResponse({"on": on})


async def remove(call: Call) -> Response:
    """Tell an address no more, and forget it."""
    gone = await call.services.database.write(webhooks.remove, _number(call))
    return JSONResponse({"url": gone.url})


async def set_settings(call: Call) -> Response:
    """Say when alarms begin: numbers by the settings' names."""
    body = await call.body()
    wanted = {name: whole_of(body, name) for name in body}
    for name in wanted:
        if name not in LIMITS or name == OF_THE_SHELL:
            names = ", ".join(each for each in LIMITS if each != OF_THE_SHELL)
            raise FieldError("setting", name, f"one of {names}")
    call.done.target = " ".join(f"{name}={value}" for name, value in wanted.items())
    return JSONResponse(await call.services.database.write(_set, wanted))


def _set(session: Session, wanted: dict[str, int]) -> dict[str, int]:
    for name, value in wanted.items():
        alarms.set_setting(session, name, value)
    return asdict(alarms.settings(session))


def _number(call: Call) -> int:
    number = number_of(call, "webhook")
    call.done.target = f"webhook {number}"
    return number


def _page(session: Session) -> dict[str, Any]:
    shown = []
    for told in webhooks.listing(session):
        tried = told.tried
        shown.append(
            webhooks.to_json(told)
            | {
                "last": None if tried is None else webhooks.message_to_json(tried),
                "messages": [webhooks.message_to_json(each) for each in told.newest],
            }
        )
    limits = {name: [each.start, each.stop - 1] for name, each in LIMITS.items()}
    return {
        "webhooks": shown,
        "limit": HOOKS_LIMIT,
        "settings": asdict(alarms.settings(session)),
        "limits": limits,
    }
