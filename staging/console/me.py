"""One's own account: its password, which ends its other sessions and its apps' tokens."""

from __future__ import annotations

import asyncio

from sqlalchemy.orm import Session
from starlette.responses import Response

from staging.console import login
from staging.console.call import Call, ConsoleError, text_of
from staging.identity.passwords import LENGTH_MAX, hash_password
from staging.store import accounts
from staging.store.accounts import Login
from wire.errors import FieldError


async def change_password(call: Call) -> Response:
    """Change one's own password, for which the old one is asked; answers with a new session, the others end."""
    body = await call.body()
    old, new = (text_of(body, name, limit=LENGTH_MAX, secret=True) for name in ("old", "new"))
    if old == new:
        raise FieldError("new", new, "another password than the old one", secret=True)
    found = await login.check(call, call.session.user_name, old)
    if found is None or found.account_id != call.session.account_id:
        raise ConsoleError(403, "wrong_password", "the old password is wrong")
    hashed = await asyncio.to_thread(hash_password, new)

    def change(session: Session) -> Login | None:
        account = accounts.one(session, found.account_id)
        accounts.set_password(session, account, hashed, call.services.clock())
        session.flush()
        return accounts.login(session, account.user_name)

    renewed = await call.services.database.write(change)
    if renewed is None:  # disabled meanwhile
        raise ConsoleError(401, "login_required", "log in first")
    call.done.target, call.done.subject_id = renewed.user_name, renewed.account_id
    _, response = login.enter(call, renewed)
    current = await call.services.database.read(accounts.current, {renewed.account_id})
    call.console.sessions.end_of_before(current, {renewed.account_id})
    call.console.hub.wake()
    return response
