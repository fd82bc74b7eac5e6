"""Accounts: added, listed, locked out, their passwords and their roles."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from staging.commands.common import Commands, Result, command, group, read_secret, store
from staging.identity.passwords import hash_password
from staging.identity.rights import Role
from staging.store import accounts
from staging.store.models import Account
from staging.times import now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``account``."""
    account = group(commands, "account", common, "add and list accounts, and what they may")
    for name, run, text in (
        ("add", _add, "make an account that can log in"),
        ("password", _password, "change an account's password; its sessions and tokens end"),
    ):
        changed = command(account, name, common, run, text)
        changed.add_argument("name", metavar="NAME")
        changed.add_argument(
            "--password-file",
            type=Path,
            metavar="FILE",
            help="read it from a file, - for stdin (default: it is made, and printed once)",
        )
        if name == "add":
            changed.add_argument(
                "--role", choices=[r.value for r in Role], default="parent", help="default: parent"
            )
    role = command(account, "role", common, _role, "give an account another role")
    role.add_argument("name", metavar="NAME")
    role.add_argument("role", choices=[r.value for r in Role], metavar="ROLE", help=", ".join(Role))
    for name, run, text in (
        ("disable", _disable, "lock an account out: no log-in, no session, no token"),
        ("enable", _enable, "let a disabled account in again"),
    ):
        command(account, name, common, run, text).add_argument("name", metavar="NAME")
    command(account, "list", common, _list, "list the accounts")


def _add(options: argparse.Namespace) -> Result:
    password, hashed = _read_password(options)
    role = Role(options.role)
    with store(options) as database:
        account = database.call(accounts.add, options.name, hashed, now_ms(), role)
    return _account_result(account, password)


def _password(options: argparse.Namespace) -> Result:
    password, hashed = _read_password(options)

    def change(session: Session, account: Account) -> None:
        accounts.set_password(session, account, hashed, now_ms())

    return _account_result(_change(options, change), password)


def _role(options: argparse.Namespace) -> Result:
    role = Role(options.role)
    return _account_result(_change(options, lambda _, found: accounts.set_role(found, role)), None)


def _disable(options: argparse.Namespace) -> Result:
    return _account_result(_change(options, lambda _, found: accounts.disable(found)), None)


def _enable(options: argparse.Namespace) -> Result:
    return _account_result(_change(options, lambda _, found: accounts.enable(found)), None)


def _change(options: argparse.Namespace, change: Callable[[Session, Account], None]) -> Account:
    def work(session: Session) -> Account:
        account = accounts.one(session, options.name)
        change(session, account)
        return account

    with store(options) as database:
        return database.call(work)


def _read_password(options: argparse.Namespace) -> tuple[str | None, str]:
    """Return the password if generated here, and its hash; never reads it from the command line."""
    if options.password_file is None:
        made = secrets.token_urlsafe(12)
        return made, hash_password(made)
    return None, hash_password(read_secret("password", options.password_file))


def _account_result(account: Account, password: str | None) -> Result:
    value = {
        "accountUuid": account.uuid,
        "userName": account.user_name,
        "role": account.role,
        "status": account.status,
    }
    if password is not None:
        value["password"] = password
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        rows = [
            {
                "accountUuid": account.uuid,
                "userName": account.user_name,
                "role": account.role,
                "status": account.status,
                "canLogIn": account.password is not None,
            }
            for account in database.call(accounts.every)
        ]
    lines = [
        f"{r['accountUuid']} {r['role']} {r['status']} {'log-in' if r['canLogIn'] else 'no-password'}"
        f" {r['userName']}"
        for r in rows
    ]
    return Result({"accounts": rows}, lines or ["no accounts"])
