"""Access tokens of apps for accounts: listed, taken back, and made to expire.

A token that is taken back is not known any more (the document's 404 of 1.2); one that expires early asks for a
new consent (426). Every request looks its token up, so both hold from the next request on, in every worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from staging.store import taken_back
from staging.store.models import AccessToken, Account, App

# Digits of a token's digest that tell it from others in a list.
ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Which:
    """Which tokens: of an account, of an app, or the one of a digest; what is None does not matter."""

    account_id: int | None = None
    app_id: int | None = None
    digest: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions for a statement."""
        wanted = (
            (AccessToken.account_id, self.account_id),
            (AccessToken.app_id, self.app_id),
            (AccessToken.digest, self.digest),
        )
        return [column == value for column, value in wanted if value is not None]


@dataclass(frozen=True, slots=True)
class Grant:
    """A token without the token: whose it is, for which app, and until when (ms)."""

    digest: str
    user_name: str
    app_id: int
    app: str
    scope: str
    expire_time: int


def listing(session: Session, which: Which) -> list[Grant]:
    """Return the tokens, the longest valid first."""
    found = session.execute(
        select(
            AccessToken.digest,
            Account.user_name,
            App.id,
            App.name,
            AccessToken.scope,
            AccessToken.expire_time,
        )
        .join(Account, Account.id == AccessToken.account_id)
        .join(App, App.id == AccessToken.app_id)
        .where(*which.conditions())
        .order_by(AccessToken.expire_time.desc(), AccessToken.digest)
    )
    return [Grant(*row) for row in found]


def revoke(session: Session, which: Which) -> int:
    """Take tokens back; returns how many there were."""
    found = session.scalars(select(AccessToken.digest).where(*which.conditions())).all()
    session.execute(delete(AccessToken).where(*which.conditions()))
    _note(session, found, expired=False)
    return len(found)


def expire(session: Session, which: Which, now: int) -> int:
    """Let valid tokens expire at ``now``; returns how many there were."""
    valid = (*which.conditions(), AccessToken.expire_time > now)
    found: Sequence[str] = session.scalars(select(AccessToken.digest).where(*valid)).all()
    session.execute(update(AccessToken).where(*valid).values(expire_time=now))
    _note(session, found, expired=True)
    return len(found)


def _note(session: Session, digests: Sequence[str], *, expired: bool) -> None:
    if digests:
        line = {"kind": "tokens", "digests": list(digests), "expired": expired}
        taken_back.note(session, line)
