"""Tokens are taken back, or expire early, by account, app or digest; and what a password change ends."""

from __future__ import annotations

import pytest

from staging.store import Database, accounts, apps, grants
from staging.store.apps import AppType, token_digest
from staging.store.grants import Which


@pytest.fixture
def tokens(database: Database) -> dict[tuple[str, int], str]:
    """Issue a token for two users of two apps each; by user and app."""
    made = [database.call(apps.add_app, name, AppType.WEB, None, 0) for name in ("a", "b")]
    return {
        (user, app.id): database.call(apps.issue_token, app.id, user, 0)[0]
        for user in ("ada", "bob")
        for app in made
    }


def test_tokens_are_listed_without_the_tokens(
    database: Database, tokens: dict[tuple[str, int], str]
) -> None:
    found = database.call(grants.listing, Which())
    assert {(grant.user_name, grant.app_id) for grant in found} == set(tokens)
    assert not {grant.digest for grant in found} & set(tokens.values())


def test_tokens_are_taken_back(database: Database, tokens: dict[tuple[str, int], str]) -> None:
    (ada, one), (_, two), *_ = tokens
    account = database.call(accounts.one, ada)
    left = {(grant.user_name, grant.app_id) for grant in database.call(grants.listing, Which())}
    assert database.call(grants.revoke, Which(account.id, one)) == 1
    left -= {(ada, one)}
    assert database.call(grants.revoke, Which(digest=token_digest(tokens["bob", two]))) == 1
    left -= {("bob", two)}
    found = database.call(grants.listing, Which())
    assert {(grant.user_name, grant.app_id) for grant in found} == left
    assert database.call(grants.revoke, Which(digest="nothing")) == 0
    assert database.call(grants.revoke, Which(account_id=account.id)) == 1


def test_a_password_change_lets_tokens_expire_once(
    database: Database, tokens: dict[tuple[str, int], str]
) -> None:
    def change(session: object, now: int) -> tuple[int, int]:
        account = accounts.one(session, "ada")  # type: ignore[arg-type]
        ended = accounts.set_password(session, account, "hash", now)  # type: ignore[arg-type]
        return ended, account.generation

    assert database.call(change, 5) == (2, 1)
    assert database.call(change, 6) == (0, 2)
    times = {g.expire_time for g in database.call(grants.listing, Which()) if g.user_name == "ada"}
    assert times == {5}
    assert len(tokens) == 4
