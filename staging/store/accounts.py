"""Accounts and their passwords."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError, StagingError
from staging.store.models import ENABLE, Account
from wire.text import kept, parse_text, spellings

NAME_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Login:
    """The data to verify a log-in; ``password`` is a hash of `staging.identity.passwords`, or None."""

    account_id: int
    uuid: str
    user_name: str
    password: str | None = field(repr=False)


def find_or_make(session: Session, user_name: str, now: int) -> Account:
    """Return a user's account, created if needed; its uuid is ``5_`` and ten digits."""
    found = _named(session, user_name)
    if found is None:
        uuid = f"5_{10**9 + secrets.randbelow(9 * 10**9)}"
        found = Account(uuid=uuid, user_name=kept(user_name), create_time=now)
        session.add(found)
        session.flush()
    return found


def add(session: Session, user_name: str, password: str, now: int) -> Account:
    """Create an account that can log in, or set the password of one that has none.

    Args:
        session: the transaction.
        user_name: 1 to 64 printable characters.
        password: as `staging.identity.passwords.hash_password` returns it.
        now: ms.

    Raises:
        FieldError: the name is not valid.
        StagingError: the account exists and has a password.
    """
    account = find_or_make(session, parse_text("name", user_name, NAME_LIMIT), now)
    if account.password is not None:
        raise StagingError(f"account {user_name}: there is one already")
    account.password = password
    return account


def set_password(session: Session, user_name: str, password: str) -> Account:
    """Change an account's password, given as a hash; raises NotFoundError."""
    account = _named(session, user_name)
    if account is None:
        raise NotFoundError(f"account {user_name}: there is none")
    account.password = password
    return account


def login(session: Session, user_name: str) -> Login | None:
    """Return the data to verify a log-in; None if the account is unknown or disabled."""
    account = _named(session, user_name)
    if account is None or account.status != ENABLE:
        return None
    return Login(account.id, account.uuid, account.user_name, account.password)


def get(session: Session, account_id: int) -> Account | None:
    """Return an account by its id."""
    return session.get(Account, account_id)


def every(session: Session) -> list[Account]:
    """Return every account, oldest first."""
    return list(session.scalars(select(Account).order_by(Account.id)))


def _named(session: Session, user_name: str) -> Account | None:
    found = session.scalars(select(Account).where(Account.user_name.in_(spellings(user_name))))
    # Two that differ in spelling alone may have been added by an older version.
    return min(found, key=lambda account: account.user_name != user_name, default=None)
