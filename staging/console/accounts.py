"""Accounts on the console, for operators: made, given roles, locked out, and what they have taken back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.console.call import Call, ConsoleError, number_of, text_of
from staging.identity.passwords import hash_password
from staging.identity.rights import Role
from staging.store import accounts, grants
from staging.store.accounts import NAME_LIMIT
from staging.store.grants import Which
from staging.store.models import Account

# Bytes of randomness in a password that is made here.
PASSWORD_BYTES = 12


async def listing(call: Call) -> Response:
    """Return every account, and the roles that there are."""
    found = await call.services.database.read(accounts.every)
    shown = [_shown(account) | {"you": account.id == call.session.account_id} for account in found]
    return JSONResponse({"accounts": shown, "roles": list(Role)})


async def add(call: Call) -> Response:
    """Add an account; no other answer contains its password."""
    body = await call.body()
    name, role = text_of(body, "name", limit=NAME_LIMIT), accounts.parse_role(body.get("role"))
    call.done.target = f"{name}: {role}"
    password, hashed = await _new_password()
    account = await call.services.database.write(
        accounts.add, name, hashed, call.services.clock(), role
    )
    call.done.subject_id = account.id
    return _once(_shown(account) | {"password": password}, 201)


async def renew_password(call: Call) -> Response:
    """Give an account another password, which this answer alone contains; its sessions and tokens end."""
    password, hashed = await _new_password()

    def change(session: Session, account: Account) -> None:
        accounts.set_password(session, account, hashed, call.services.clock())

    account = await _change(call, change)
    return _once(_shown(account) | {"password": password})


async def change_role(call: Call) -> Response:
    """Give an account another role; its sessions end."""
    role = accounts.parse_role((await call.body()).get("role"))
    account = await _change(call, lambda _, account: accounts.set_role(account, role), other=True)
    call.done.target = f"{account.user_name}: {role}"
    return JSONResponse(_shown(account))


async def disable(call: Call) -> Response:
    """Lock an account out."""
    return JSONResponse(
        _shown(await _change(call, lambda _, account: accounts.disable(account), other=True))
    )


async def enable(call: Call) -> Response:
    """Let an account in again."""
    return JSONResponse(_shown(await _change(call, lambda _, account: accounts.enable(account))))


async def revoke_sessions(call: Call) -> Response:
    """End an account's sessions on the console, at every worker."""
    account = await _change(call, lambda _, account: accounts.end_sessions(account))
    return JSONResponse(_shown(account))


async def revoke_tokens(call: Call) -> Response:
    """Take back every token by which apps act for an account."""
    taken = 0

    def change(session: Session, account: Account) -> None:
        nonlocal taken
        taken = grants.revoke(session, Which(account_id=account.id))

    account = await _change(call, change)
    return JSONResponse(_shown(account) | {"tokens": taken})


async def _change(
    call: Call, change: Callable[[Session, Account], None], *, other: bool = False
) -> Account:
    """Change the account of the path; ``other``: not one's own, which would lock the last operator out."""
    number = number_of(call, "account")
    if other and number == call.session.account_id:
        raise ConsoleError(409, "own_account", "your own account: another operator changes it")

    def work(session: Session) -> Account:
        account = accounts.one(session, number)
        change(session, account)
        return account

    account = await call.services.database.write(work)
    call.done.target, call.done.subject_id = account.user_name, account.id
    return account


async def _new_password() -> tuple[str, str]:
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    return password, await asyncio.to_thread(hash_password, password)


def _shown(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "accountUuid": account.uuid,
        "name": account.user_name,
        "role": account.role,
        "status": account.status,
        "canLogIn": account.password is not None,
        "createTime": account.create_time,
    }


def _once(value: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(value, status, headers={"Cache-Control": "no-store"})
