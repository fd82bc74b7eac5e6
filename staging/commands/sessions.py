"""Sessions on the console, ended by command."""

from __future__ import annotations

import argparse

from sqlalchemy.orm import Session

from staging.commands.common import Commands, Result, command, group, store
from staging.store import accounts
from staging.store.models import Account


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``session``."""
    session = group(commands, "session", common, "end log-ins at the console")
    revoke = command(
        session, "revoke", common, _revoke, "end all of an account's sessions, within 5 s"
    )
    revoke.add_argument("name", metavar="NAME")


def _revoke(options: argparse.Namespace) -> Result:
    with store(options) as database:
        account = database.call(_end, options.name)
    value = {"accountUuid": account.uuid, "userName": account.user_name}
    return Result(value, [f"{account.user_name}: every session has ended"])


def _end(session: Session, name: str) -> Account:
    account = accounts.one(session, name)
    accounts.end_sessions(account)
    return account
