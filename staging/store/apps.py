"""Apps, accounts and what lets one act for the other: access tokens and used nonces."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError
from staging.store.models import AccessToken, Account, App, AppProduct, UsedNonce
from staging.store.products import default_product

# expires_in of the open API's section 1.1, in seconds: 60 days.
TOKEN_LIFETIME_S = 5_184_000
# Nonces of tokens that can still be used; past this many the oldest are forgotten (docs/adr/0004).
NONCES_LIMIT = 1_000_000


class AppType(StrEnum):
    """What an app runs on, which decides what it signs with."""

    WEB = "web"
    ANDROID = "android"
    IOS = "ios"


@dataclass(frozen=True, slots=True)
class Nonce:
    """A nonce that was used, by which app and when (ms)."""

    app_id: int
    nonce: str
    use_time: int


def token_digest(token: str) -> str:
    """Return what the store keeps of an access token; also makes a look-up tell no timing."""
    return hashlib.sha256(token.encode()).hexdigest()


def add_app(session: Session, name: str, kind: AppType, secret: str | None, now: int) -> App:
    """Make an app bound to the default product; a web app's secret is made here."""
    app = App(
        name=name,
        type=kind.value,
        apikey=secrets.token_hex(16),
        secret=secret or secrets.token_hex(16),
        create_time=now,
    )
    session.add(app)
    session.flush()
    product = default_product(session, now)
    session.add(AppProduct(app_id=app.id, product_id=product.id))
    return app


def list_apps(session: Session) -> list[App]:
    """Return every app, oldest first."""
    return list(session.scalars(select(App).order_by(App.id)))


def account(session: Session, user_name: str, now: int) -> Account:
    """Return the account of a user name, made if it is new; its uuid is ``5_`` and ten digits."""
    found = session.scalar(select(Account).where(Account.user_name == user_name))
    if found is None:
        uuid = f"5_{10**9 + secrets.randbelow(9 * 10**9)}"
        found = Account(uuid=uuid, user_name=user_name, create_time=now)
        session.add(found)
        session.flush()
    return found


def issue_token(session: Session, app_id: int, user_name: str, now: int) -> tuple[str, Account]:
    """Let an app act for a user; returns the access token, which is not kept, and the account.

    Raises:
        NotFoundError: there is no such app.
    """
    if session.get(App, app_id) is None:
        raise NotFoundError(f"app {app_id}: there is none")
    user = account(session, user_name, now)
    token = secrets.token_hex(16)
    expire_time = now + TOKEN_LIFETIME_S * 1000
    session.add(
        AccessToken(
            digest=token_digest(token),
            app_id=app_id,
            account_id=user.id,
            expire_time=expire_time,
        )
    )
    return token, user


def remember_nonces(session: Session, nonces: Iterable[Nonce]) -> None:
    """Keep nonces that were used; every (app, nonce) must be new."""
    rows = [
        {"app_id": nonce.app_id, "nonce": nonce.nonce, "use_time": nonce.use_time}
        for nonce in nonces
    ]
    if rows:
        session.execute(insert(UsedNonce), rows)


def purge(session: Session, now: int, limit: int = NONCES_LIMIT) -> None:
    """Forget nonces and tokens that no longer matter, and nonces beyond ``limit``, oldest first."""
    session.execute(delete(UsedNonce).where(UsedNonce.use_time < now - TOKEN_LIFETIME_S * 1000))
    # An expired token is still told apart from an unknown one (426, 404) for as long again.
    session.execute(
        delete(AccessToken).where(AccessToken.expire_time < now - TOKEN_LIFETIME_S * 1000)
    )
    surplus = (session.scalar(select(func.count()).select_from(UsedNonce)) or 0) - limit
    if surplus > 0:
        newest = select(UsedNonce.use_time).order_by(UsedNonce.use_time).offset(surplus).limit(1)
        session.execute(delete(UsedNonce).where(UsedNonce.use_time < newest.scalar_subquery()))
