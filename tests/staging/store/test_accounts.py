"""Accounts in the store: their roles, and what ends their sessions."""

from __future__ import annotations

from typing import Any

import pytest

from staging.errors import NotFoundError
from staging.identity.rights import Role
from staging.store import Database, accounts
from staging.store.accounts import Current
from wire.errors import FieldError


def test_a_new_account_is_a_parents_and_a_password_gives_it_its_role(database: Database) -> None:
    by_token = database.call(accounts.find_or_make, "ada", 0)
    assert by_token.role == Role.PARENT
    tester = database.call(accounts.add, "ada", "hash", 0, Role.TESTER)
    assert (tester.id, tester.role) == (by_token.id, Role.TESTER)
    assert database.call(accounts.roles) == {Role.TESTER: 1}
    login = database.call(accounts.login, "ada")
    assert login is not None
    assert (login.role, login.generation) == (Role.TESTER, 0)
    assert "hash" not in repr(login)


@pytest.mark.parametrize("text", ["", "root", "Tester", None, 3])
def test_a_role_that_is_none_is_refused(text: object) -> None:
    with pytest.raises(FieldError, match="expected one of parent, tester, operator"):
        accounts.parse_role(text)


def test_each_change_begins_a_generation_and_what_is_disabled_is_left_out(
    database: Database,
) -> None:
    ada = database.call(accounts.add, "ada", "hash", 0, Role.OPERATOR).id

    def change(session: Any, work: Any, *given: Any) -> None:
        work(accounts.one(session, ada), *given)

    for work, given, generation in (
        (accounts.end_sessions, (), 1),
        (accounts.set_role, (Role.TESTER,), 2),
        (accounts.set_role, (Role.TESTER,), 2),  # nothing changes
    ):
        database.call(change, work, *given)
        assert database.call(accounts.current, {ada, 99})[ada].generation == generation
    database.call(change, accounts.disable)
    assert database.call(accounts.current, {ada}) == {}
    assert database.call(accounts.login, "ada") is None
    assert database.call(accounts.roles) == {}
    database.call(change, accounts.enable)
    assert database.call(accounts.current, {ada}) == {ada: Current(Role.TESTER, 3)}
    for who in ("eve", 99):
        with pytest.raises(NotFoundError, match=f"account {who}: there is none"):
            database.call(accounts.one, who)
