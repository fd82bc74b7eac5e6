"""From which addresses each account has logged in: there nobody else's guesses lock its owner out.

An address is stored as a SHA-256 with its account. That hides it from a glance at a table, not from whoever tries all
IPv4 addresses.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from staging.store import accounts
from staging.store.accounts import Login
from staging.store.models import KnownAddress

DAY_MS = 24 * 3600 * 1000
# How long an address is known after the last log-in there.
LIFETIME_MS = 365 * DAY_MS
# A log-in at a known address is noted again after this long.
AGAIN_MS = 7 * DAY_MS
# Of one account; the one that was used longest ago is forgotten.
ADDRESSES_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Known:
    """What is known before a password is checked.

    Attributes:
        login: the account; None: there is none, or it is disabled.
        known_at: when it logged in from this address (ms); None: never.
    """

    login: Login | None
    known_at: int | None


def look_up(session: Session, user_name: str, network: str) -> Known:
    """Return what is known of an account and an address."""
    login = accounts.login(session, user_name)
    if login is None:
        return Known(None, None)
    row = session.get(KnownAddress, (login.account_id, _digest(login.account_id, network)))
    return Known(login, None if row is None else row.use_time)


def is_due(known: Known, now: int) -> bool:
    """Return whether a log-in now must be noted."""
    return known.known_at is None or not 0 <= now - known.known_at < AGAIN_MS


def note(session: Session, account_id: int, network: str, now: int) -> None:
    """Note a log-in, and forget what is old or too much of this account."""
    session.merge(
        KnownAddress(account_id=account_id, digest=_digest(account_id, network), use_time=now)
    )
    session.flush()
    mine = select(KnownAddress).where(KnownAddress.account_id == account_id)
    rows = session.scalars(mine.order_by(KnownAddress.use_time.desc())).all()
    for number, row in enumerate(rows):
        if number >= ADDRESSES_LIMIT or row.use_time < now - LIFETIME_MS:
            session.delete(row)


def forget(session: Session, account_id: int) -> None:
    """Forget every address of an account."""
    session.execute(delete(KnownAddress).where(KnownAddress.account_id == account_id))


def _digest(account_id: int, network: str) -> str:
    return hashlib.sha256(f"{account_id} {network}".encode()).hexdigest()
