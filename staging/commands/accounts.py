"""Accounts: added, listed, and their passwords."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

from staging.commands.common import Commands, Result, command, group, store
from staging.identity.passwords import hash_password
from staging.store import accounts
from staging.store.models import Account
from staging.times import now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``account``."""
    account = group(commands, "account", common, "add and list accounts")
    for name, run, text in (
        ("add", _add, "make an account that can log in"),
        ("password", _password, "change an account's password"),
    ):
        changed = command(account, name, common, run, text)
        changed.add_argument("name", metavar="NAME")
        changed.add_argument(
            "--password-file",
            type=Path,
            metavar="FILE",
            help="read it from a file, - for stdin (default: it is made, and printed once)",
        )
    command(account, "list", common, _list, "list the accounts")


def _add(options: argparse.Namespace) -> Result:
    password, hashed = _read_password(options)
    with store(options) as database:
        account = database.call(accounts.add, options.name, hashed, now_ms())
    return _account_result(account, password)


def _password(options: argparse.Namespace) -> Result:
    password, hashed = _read_password(options)
    with store(options) as database:
        account = database.call(accounts.set_password, options.name, hashed)
    return _account_result(account, password)


def _read_password(options: argparse.Namespace) -> tuple[str | None, str]:
    """Return the password if generated here, and its hash; never reads it from the command line."""
    if options.password_file is None:
        made = secrets.token_urlsafe(12)
        return made, hash_password(made)
    if str(options.password_file) == "-":
        text = sys.stdin.readline()
    else:
        text = options.password_file.read_text("utf-8")
    return None, hash_password(text.rstrip("\r\n"))


def _account_result(account: Account, password: str | None) -> Result:
    value = {"accountUuid": account.uuid, "userName": account.user_name}
    if password is not None:
        value["password"] = password
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        rows = [
            {
                "accountUuid": account.uuid,
                "userName": account.user_name,
                "status": account.status,
                "canLogIn": account.password is not None,
            }
            for account in database.call(accounts.every)
        ]
    lines = [
        f"{r['accountUuid']} {r['status']} {'log-in' if r['canLogIn'] else 'no-password'}"
        f" {r['userName']}"
        for r in rows
    ]
    return Result({"accounts": rows}, lines or ["no accounts"])
