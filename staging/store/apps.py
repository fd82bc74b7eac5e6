"""Apps, their access tokens for accounts, and used nonces."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from staging.errors import NotFoundError, StagingError
from staging.identity.oauth import (
    ALL_SCOPE,
    DOCUMENT_REDIRECT,
    check_redirect_uri,
    check_scopes,
    check_web_origin,
)
from staging.store import accounts, many_rows
from staging.store.many_rows import NUMBER, WORDS
from staging.store.models import AccessToken, Account, App, AppProduct, UsedNonce
from staging.store.products import default_product
from wire.errors import FieldError
from wire.text import parse_text

# expires_in of the open API's section 1.1, in seconds: 60 days.
TOKEN_LIFETIME_S = 5_184_000
# The maximum number of stored nonces; beyond it the oldest are deleted (docs/adr/0004).
NONCES_LIMIT = 1_000_000
# Of one app's web pages.
ORIGINS_LIMIT = 20
_NONCES = (("app_id", NUMBER), ("nonce", WORDS), ("use_time", NUMBER))
_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class AppType(StrEnum):
    """An app's platform, which determines the secret that it signs with."""

    WEB = "web"
    ANDROID = "android"
    IOS = "ios"


class Nonce(NamedTuple):
    """A nonce that was used, by which app and when (ms)."""

    app_id: int
    nonce: str
    use_time: int


def token_digest(token: str) -> str:
    """Return the digest to store for a token; it also hides the token from look-up timing."""
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
    """Create an app bound to the default product; without ``secret`` (web) it gets a random one.

    Without ``scopes`` users may grant it everything; without ``redirect_uris`` it gets the redirect
    URI of the open API document.

    Raises:
        FieldError: the name, a scope or a redirect URI is not valid.
    """
    app = App(
        name=parse_text("name", name, accounts.NAME_LIMIT),
        type=kind.value,
        apikey=secrets.token_hex(16),
        secret=secret or secrets.token_hex(16),
        scopes=check_scopes(scopes) or [ALL_SCOPE],
        redirect_uris=[check_redirect_uri(uri) for uri in redirect_uris] or [DOCUMENT_REDIRECT],
        web_origins=[],
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
    """Describe an app as the commands and the console show it, without its secret."""
    return {
        "appId": app.id,
        "name": app.name,
        "type": app.type,
        "apikey": app.apikey,
        "scopes": app.scopes,
        "redirectUris": app.redirect_uris,
        "webOrigins": app.web_origins,
        "createTime": app.create_time,
    }


def find(session: Session, app_id: int) -> App | None:
    """Return an app by its appId."""
    return session.get(App, app_id)


def one(session: Session, app_id: int) -> App:
    """Return an app by its appId; raises NotFoundError."""
    app = find(session, app_id)
    if app is None:
        raise NotFoundError(f"app {app_id}: there is none")
    return app


def origins(session: Session) -> dict[str, frozenset[str]]:
    """Return the origins of each app's web pages, by the app's key; apps without any are left out."""
    rows = session.execute(select(App.apikey, App.web_origins)).all()
    return {apikey: frozenset(found) for apikey, found in rows if found}


def set_origins(
    session: Session, app_id: int, added: Sequence[str], removed: Sequence[str] = ()
) -> App:
    """Let web pages of these origins call the API for an app, or no longer.

    Raises:
        NotFoundError: there is no such app.
        FieldError: one is no origin, or there are too many.
    """
    app = one(session, app_id)
    gone = {check_web_origin(text) for text in removed}
    wanted = dict.fromkeys((*app.web_origins, *(check_web_origin(text) for text in added)))
    kept = [text for text in wanted if text not in gone]
    if len(kept) > ORIGINS_LIMIT:
        raise FieldError("web_origin", len(kept), f"at most {ORIGINS_LIMIT} of one app")
    app.web_origins = kept
    return app


def is_bound(session: Session, app_id: int, product_id: int) -> bool:
    """Return whether an app may control a product's devices."""
    return session.get(AppProduct, (app_id, product_id)) is not None


def renew_secret(session: Session, app_id: int, secret: str | None) -> App:
    """Give an app another secret; the old one signs nothing from now on.

    ``secret`` is needed where the app's type makes it of what it is signed with (open API 2.5.2).

    Raises:
        NotFoundError: there is no such app.
        StagingError: a secret lacks, or is the present one.
    """
    app = one(session, app_id)
    if secret is None and app.type != AppType.WEB:
        raise StagingError(f"app {app_id}: the secret of an {app.type} app is made of its identity")
    new = secret or secrets.token_hex(16)
    if new == app.secret:
        raise StagingError(f"app {app_id}: this is its secret already, expected another identity")
    app.secret = new
    return app


account = accounts.find_or_make


def issue_token(session: Session, app_id: int, user_name: str, now: int) -> tuple[str, Account]:
    """Grant an app access to a user's account, created if needed; returns token and account.

    Raises:
        NotFoundError: there is no such app.
    """
    app = one(session, app_id)
    user = account(session, user_name, now)
    return grant(session, app_id, user.id, app.scopes, now), user


def grant(session: Session, app_id: int, account_id: int, scopes: Sequence[str], now: int) -> str:
    """Grant an app ``scopes`` for an account; returns the token, which is not stored itself."""
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
    """Store used nonces.

    A nonce that is stored already is not an error: an earlier commit may have lost only its reply.
    """
    rows = [(nonce.app_id, nonce.nonce, nonce.use_time) for nonce in nonces]
    if rows:
        many_rows.insert(session.connection(), "used_nonces", _NONCES, rows, once=True)


def claim_nonce(session: Session, nonce: Nonce) -> bool:
    """Store a nonce; returns False if any process has stored it before."""
    row = {"app_id": nonce.app_id, "nonce": nonce.nonce, "use_time": nonce.use_time}
    insert = _INSERT[session.get_bind().dialect.name]
    claim = insert(UsedNonce).values(row).on_conflict_do_nothing().returning(UsedNonce.nonce)
    return session.execute(claim).first() is not None


def purge(session: Session, now: int, limit: int = NONCES_LIMIT) -> None:
    """Delete outdated nonces and tokens, and the oldest nonces beyond ``limit``."""
    session.execute(delete(UsedNonce).where(UsedNonce.use_time < now - TOKEN_LIFETIME_S * 1000))
    # Expired tokens stay for one more lifetime: until then they give 426, then 404 (unknown).
    session.execute(
        delete(AccessToken).where(AccessToken.expire_time < now - TOKEN_LIFETIME_S * 1000)
    )
    surplus = (session.scalar(select(func.count()).select_from(UsedNonce)) or 0) - limit
    if surplus > 0:
        newest = select(UsedNonce.use_time).order_by(UsedNonce.use_time).offset(surplus).limit(1)
        session.execute(delete(UsedNonce).where(UsedNonce.use_time < newest.scalar_subquery()))
