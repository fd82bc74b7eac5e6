"""Access tokens, with which an app acts for a user: issued, listed, and taken back."""

from __future__ import annotations

import argparse
from pathlib import Path

from sqlalchemy.orm import Session

from staging.commands.common import Commands, Result, command, read_secret, row_id, store
from staging.errors import NotFoundError, StagingError
from staging.store import accounts, apps, grants
from staging.store.apps import TOKEN_LIFETIME_S, token_digest
from staging.store.grants import ID_DIGITS, Which
from staging.times import iso, now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the command ``token``, and those below it."""
    token = command(commands, "token", common, _token, "let an app act for a user")
    token.add_argument("--app", type=row_id, metavar="APPID")
    token.add_argument("--user", metavar="NAME", help="made as a parent if it is new")
    below = token.add_subparsers(metavar="COMMAND")
    for name, run, text in (
        ("list", _list, "list tokens, without the tokens"),
        ("revoke", _revoke, "take tokens back: apps are answered 404"),
        ("expire", _expire, "let tokens expire: apps are answered 426, and ask for consent again"),
    ):
        chosen = command(below, name, common, run, text)
        chosen.add_argument("--app", type=row_id, metavar="APPID", help="only of this app")
        chosen.add_argument("--user", metavar="NAME", help="only for this user")
        if name != "list":
            chosen.add_argument(
                "--token-file", type=Path, metavar="FILE", help="only the one in it; - for stdin"
            )


def _token(options: argparse.Namespace) -> Result:
    missing = [f"--{name}" for name in ("app", "user") if getattr(options, name) is None]
    if missing:
        raise StagingError(f"token: {' and '.join(missing)} missing")
    with store(options) as database:
        token, user = database.call(apps.issue_token, options.app, options.user, now_ms())
    value = {
        "access_token": token,
        "expires_in": TOKEN_LIFETIME_S,
        "accountUuid": user.uuid,
        "userName": user.user_name,
    }
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _list(options: argparse.Namespace) -> Result:
    def work(session: Session) -> list[grants.Grant]:
        return grants.listing(session, _which(session, options, None))

    with store(options) as database:
        found = database.call(work)
    rows = [
        {
            "tokenId": grant.digest[:ID_DIGITS],
            "userName": grant.user_name,
            "appId": grant.app_id,
            "app": grant.app,
            "scope": grant.scope,
            "expireTime": iso(grant.expire_time),
        }
        for grant in found
    ]
    lines = [
        f"{r['tokenId']} {r['userName']} app={r['appId']} scope={r['scope']} until={r['expireTime']}"
        for r in rows
    ]
    return Result({"tokens": rows}, lines or ["no tokens"])


def _revoke(options: argparse.Namespace) -> Result:
    digest = _digest(options)

    def work(session: Session) -> int:
        return grants.revoke(session, _which(session, options, digest))

    with store(options) as database:
        count = database.call(work)
    return Result({"revoked": count}, [f"{count} tokens are taken back"])


def _expire(options: argparse.Namespace) -> Result:
    digest = _digest(options)

    def work(session: Session) -> int:
        return grants.expire(session, _which(session, options, digest), now_ms())

    with store(options) as database:
        count = database.call(work)
    return Result({"expired": count}, [f"{count} tokens have expired now"])


def _digest(options: argparse.Namespace) -> str | None:
    """Return the digest of the token that is meant; a token on the command line others could read."""
    if options.app is options.user is options.token_file is None:
        raise StagingError(f"{options.words}: which tokens? Give --user, --app or --token-file")
    if options.token_file is None:
        return None
    return token_digest(read_secret("token", options.token_file).strip())


def _which(session: Session, options: argparse.Namespace, digest: str | None) -> Which:
    """Return which tokens are meant; raises NotFoundError for a user, an app or a token that there is not."""
    account_id = None if options.user is None else accounts.one(session, options.user).id
    if options.app is not None:
        apps.one(session, options.app)
    if digest is not None and not grants.listing(session, Which(digest=digest)):
        raise NotFoundError(f"--token-file {options.token_file}: there is no such token")
    return Which(account_id, options.app, digest)
