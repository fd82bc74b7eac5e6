"""Accounts: their passwords, their roles, and what ends their sessions."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError, StagingError
from staging.identity.rights import Role
from staging.store import grants
from staging.store.grants import Which
from staging.store.models import DISABLE, ENABLE, Account
from wire.errors import FieldError
from wire.text import kept, parse_text, spellings

NAME_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Login:
    """The data to verify a log-in; ``password`` is a hash of `staging.identity.passwords`, or None."""

    account_id: int
    uuid: str
    user_name: str
    password: str | None = field(repr=False)
    role: Role
    generation: int


@dataclass(frozen=True, slots=True)
class Current:
    """What an enabled account is now; a session of another generation has ended."""

    role: Role
    generation: int


def find_or_make(session: Session, user_name: str, now: int) -> Account:
    """Return a user's account, created as a parent's if needed; its uuid is ``5_`` and ten digits."""
    found = _named(session, user_name)
    if found is None:
        uuid = f"5_{10**9 + secrets.randbelow(9 * 10**9)}"
        found = Account(uuid=uuid, user_name=kept(user_name), create_time=now)
        session.add(found)
        session.flush()
    return found


def add(
    session: Session, user_name: str, password: str, now: int, role: Role = Role.PARENT
) -> Account:
    """Create an account that can log in, or set the password of one that has none.

    Args:
        session: the transaction.
        user_name: 1 to 64 printable characters.
        password: as `staging.identity.passwords.hash_password` returns it.
        now: ms.
        role: what it is for.

    Raises:
        FieldError: the name is not valid.
        StagingError: the account exists and has a password.
    """
    account = find_or_make(session, parse_text("name", user_name, NAME_LIMIT), now)
    if account.password is not None:
        raise StagingError(f"account {user_name}: there is one already")
    account.password, account.role = password, role.value
    return account


def parse_role(text: object) -> Role:
    """Return the role of this name; raises FieldError."""
    try:
        return Role(str(text))
    except ValueError as error:
        raise FieldError("role", text, f"one of {', '.join(Role)}") from error


def set_password(session: Session, account: Account, password: str, now: int) -> int:
    """Change an account's password, given as a hash; ends its sessions and lets its tokens expire.

    Returns how many tokens were valid.
    """
    account.password = password
    end_sessions(account)
    return grants.expire(session, Which(account_id=account.id), now)


def set_role(account: Account, role: Role) -> None:
    """Give an account another role; its sessions end."""
    if account.role != role:
        account.role = role.value
        end_sessions(account)


def disable(account: Account) -> None:
    """Keep an account from everything: no log-in, no session, and its tokens are answered 1211."""
    account.status = DISABLE
    end_sessions(account)


def enable(account: Account) -> None:
    """Let a disabled account in again; tokens that have not expired are valid again."""
    account.status = ENABLE


def end_sessions(account: Account) -> None:
    """End every session of an account, at every worker."""
    account.generation += 1


def login(session: Session, user_name: str) -> Login | None:
    """Return the data to verify a log-in; None if the account is unknown or disabled."""
    found = _named(session, user_name)
    if found is None or found.status != ENABLE:
        return None
    return Login(
        found.id, found.uuid, found.user_name, found.password, Role(found.role), found.generation
    )


def current(session: Session, account_ids: Collection[int]) -> dict[int, Current]:
    """Return what these accounts are now, by id; those that are gone or disabled are left out."""
    rows = session.execute(
        select(Account.id, Account.role, Account.generation).where(
            Account.id.in_(account_ids), Account.status == ENABLE
        )
    )
    return {number: Current(Role(role), generation) for number, role, generation in rows}


def get(session: Session, account_id: int) -> Account | None:
    """Return an account by its id."""
    return session.get(Account, account_id)


def one(session: Session, who: str | int) -> Account:
    """Return an account by its name or its id; raises NotFoundError."""
    found = session.get(Account, who) if isinstance(who, int) else _named(session, who)
    if found is None:
        raise NotFoundError(f"account {who}: there is none")
    return found


def every(session: Session) -> list[Account]:
    """Return every account, oldest first."""
    return list(session.scalars(select(Account).order_by(Account.id)))


def roles(session: Session) -> Counter[Role]:
    """Count the enabled accounts that can log in, by role."""
    found = session.scalars(
        select(Account.role).where(Account.status == ENABLE, Account.password.is_not(None))
    )
    return Counter(map(Role, found))


def _named(session: Session, user_name: str) -> Account | None:
    found = session.scalars(select(Account).where(Account.user_name.in_(spellings(user_name))))
    # Two that differ in spelling alone may have been added by an older version.
    return min(found, key=lambda account: account.user_name != user_name, default=None)
