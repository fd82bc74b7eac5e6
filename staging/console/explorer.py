"""The explorer of the open API: what a request is signed with, and a request for each of the document's codes.

The page signs and sends the requests itself. An app's secret that a tester types stays in the page; the cloud hands out
only that of the explorer's own app (`staging.code_cases`), and a token for the operator's own account.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from staging import code_cases
from staging.api.envelope import PREFIX
from staging.code_cases import CODES, Case
from staging.console.call import Call, ConsoleError, id_of, text_of
from staging.errors import ErrorCode
from staging.store import apps
from wire.errors import FieldError


async def content(call: Call) -> Response:
    """Return the apps without their secrets, and the codes that there is a request for."""
    found = await call.services.database.read(apps.list_apps)
    meanings = {str(int(code)): code.meaning for code in ErrorCode}
    return JSONResponse(
        {
            "apps": [apps.summary(app) for app in found],
            "codes": [{"code": code, "meaning": meanings.get(code, "")} for code in CODES],
        }
    )


async def token(call: Call) -> Response:
    """Grant an app a token for the caller's own account; the account's owner is who asks."""
    number = id_of(await call.body(), "app")
    app = await call.services.database.read(apps.find, number)
    if app is None:
        raise ConsoleError(404, "not_found", f"app {number}: there is none")
    call.done.target, call.done.subject_id = app.name, call.session.account_id
    granted = await call.services.database.write(
        apps.grant, number, call.session.account_id, app.scopes, call.services.clock()
    )
    return _once({"token": granted, "user": call.session.user_name})


async def case(call: Call) -> Response:
    """Return a request that the cloud answers with a code, and what it is to be signed with."""
    code = text_of(await call.body(), "code")
    if code not in CODES:
        raise FieldError("code", code, f"one of {', '.join(CODES)}")
    call.done.target = f"code {code}"
    made = await call.services.database.write(code_cases.prepare, code, call.services.clock())
    return _once(_shown(made))


def _shown(made: Case) -> dict[str, Any]:
    return {
        "method": made.method,
        "path": PREFIX + made.path,
        "query": dict(made.query),
        "body": None if made.body is None else dict(made.body),
        "app": apps.summary(made.app),
        "secret": made.app.secret,
        "token": made.token,
        "user": made.user,
    }


def _once(value: dict[str, Any]) -> Response:
    return JSONResponse(value, headers={"Cache-Control": "no-store"})
