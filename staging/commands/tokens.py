"""Access tokens, with which an app acts for a user."""

from __future__ import annotations

import argparse

from staging.commands.common import Commands, Result, command, store
from staging.store import apps
from staging.store.apps import TOKEN_LIFETIME_S
from staging.times import now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the command ``token``."""
    token = command(commands, "token", common, _token, "let an app act for a user")
    token.add_argument("--app", type=int, required=True, metavar="APPID")
    token.add_argument("--user", required=True, metavar="NAME", help="made if it is new")


def _token(options: argparse.Namespace) -> Result:
    with store(options) as database:
        token, user = database.call(apps.issue_token, options.app, options.user, now_ms())
    value = {
        "access_token": token,
        "expires_in": TOKEN_LIFETIME_S,
        "accountUuid": user.uuid,
        "userName": user.user_name,
    }
    return Result(value, [f"{name} {text}" for name, text in value.items()])
