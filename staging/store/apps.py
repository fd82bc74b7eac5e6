"""Apps, accounts and what lets one act for the other: access tokens and used nonces."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from staging.errors import NotFoundError
from staging.identity.oauth import DOCUMENT_REDIRECT, check_redirect_uri, check_scopes
from staging.store import accounts
from staging.store.models import ALL_SCOPE, AccessToken, Account, App, AppProduct, UsedNonce
from staging.store.products import default_product

# expires_in of the open API's section 1.1, in seconds: 60 days.
TOKEN_LIFETIME_S = 5_184_000
# Nonces of tokens that can still be used; past this many the oldest are forgotten (docs/adr/0004).
NONCES_LIMIT = 1_000_000
_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


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


def add_app(
    session: Session,
    name: str,
    kind: AppType,
    secret: str | None,
    now: int,
    *,
    scopes: Sequence[str] = (),
    redirect_uris: Sequence[str] = (),
) -> App:
    """Make an app bound to the default product; a web app's secret is made here.

    Without ``scopes`` users may allow it everything; without ``redirect_uris`` they are sent where
    the open API document sends them.

    Raises:
        FieldError: a scope or a redirect URI is none.
    """
    app = App(
        name=name,
        type=kind.value,
        apikey=secrets.token_hex(16),
        secret=secret or secrets.token_hex(16),
        scopes=check_scopes(scopes) or [ALL_SCOPE],
        redirect_uris=[check_redirect_uri(uri) for uri in redirect_uris] or [DOCUMENT_REDIRECT],
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


def summary(app: App) -> dict[str, object]:
    """Describe an app as the commands and the console show it; its secret is not in it."""
    return {
        "appId": app.id,
        "name": app.name,
        "type": app.type,
        "apikey": app.apikey,
        "scopes": app.scopes,
        "redirectUris": app.redirect_uris,
        "createTime": app.create_time,
    }


def find(session: Session, app_id: int) -> App | None:
    """Return an app by its appId."""
    return session.get(App, app_id)


def is_bound(session: Session, app_id: int, product_id: int) -> bool:
    """Tell whether an app may control a product's devices."""
    return session.get(AppProduct, (app_id, product_id)) is not None


account = accounts.find_or_make


def issue_token(session: Session, app_id: int, user_name: str, now: int) -> tuple[str, Account]:
    """Let an app act for a user, who is made if new; returns the access token and the account.

    Raises:
        NotFoundError: there is no such app.
    """
    app = session.get(App, app_id)
    if app is None:
        raise NotFoundError(f"app {app_id}: there is none")
    user = account(session, user_name, now)
    return grant(session, app_id, user.id, app.scopes, now), user


def grant(session: Session, app_id: int, account_id: int, scopes: Sequence[str], now: int) -> str:
    """Let an app act for an account within ``scopes``; returns the token, which is not kept."""
    token = secrets.token_hex(16)
    expire_time = now + TOKEN_LIFETIME_S * 1000
    session.add(
        AccessToken(
            digest=token_digest(token),
            app_id=app_id,
            account_id=account_id,
            scope=",".join(scopes),
            expire_time=expire_time,
        )
    )
    session.flush()
    return token


def remember_nonces(session: Session, nonces: Iterable[Nonce]) -> None:
    """Keep nonces that were used.

    One that is kept already is no error: the commit before may have lost its answer only.
    """
    rows = [
        {"app_id": nonce.app_id, "nonce": nonce.nonce, "use_time": nonce.use_time}
        for nonce in nonces
    ]
    if rows:
        insert = _INSERT[session.get_bind().dialect.name]
        session.execute(insert(UsedNonce).on_conflict_do_nothing(), rows)


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
