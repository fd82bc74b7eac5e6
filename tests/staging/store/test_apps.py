"""Apps, accounts' tokens and nonces in the store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from staging.store import Database, apps
from staging.store.apps import Nonce
from staging.store.models import AccessToken, UsedNonce

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TOKEN_LIFETIME_S = 5_184_000


def count(session: Any, table: type) -> int:
    return int(session.scalar(select(func.count()).select_from(table)))


def test_tokens_are_not_kept_readable(database: Database) -> None:
    app = database.call(apps.add_app, "app", apps.AppType.WEB, None, 0)
    token, _ = database.call(apps.issue_token, app.id, "tester", 0)

    def kept(session: Any) -> str:
        return str(session.scalar(select(AccessToken.digest)))

    assert database.call(kept) == apps.token_digest(token) != token


def test_one_account_a_user_name(database: Database) -> None:
    first = database.call(apps.account, "tester", 0)
    assert database.call(apps.account, "tester", 1).uuid == first.uuid
    assert database.call(apps.account, "other", 1).uuid != first.uuid


def test_nonces_and_tokens_are_forgotten_when_they_no_longer_matter(database: Database) -> None:
    app = database.call(apps.add_app, "app", apps.AppType.WEB, None, 0)
    database.call(apps.issue_token, app.id, "tester", 0)
    database.call(apps.remember_nonces, [Nonce(app.id, f"n{n}", n) for n in range(10)])
    life = TOKEN_LIFETIME_S * 1000

    def left(session: Any) -> list[str]:
        return list(session.scalars(select(UsedNonce.nonce).order_by(UsedNonce.use_time)))

    database.call(apps.purge, life + 2)
    assert database.call(left) == [f"n{n}" for n in range(2, 10)]
    database.call(apps.purge, life, 3)
    assert database.call(left) == ["n7", "n8", "n9"]
    database.call(apps.purge, 2 * life)
    assert database.call(count, AccessToken) == 1
    database.call(apps.purge, 2 * life + 1)
    assert database.call(count, AccessToken) == 0
